"""What the sample site is made of: names of people, tools and categories."""

FIRST = (
    "Ada", "Alan", "Amina", "Anders", "Bruno", "Carla", "Chen", "Dmitri", "Edsger", "Elena", "Emeka", "Farah",
    "Grace", "Hana", "Hedy", "Ibrahim", "Ines", "Jonas", "Katherine", "Kenji", "Lakshmi", "Leila", "Linus",
    "Margaret", "Mateo", "Mei", "Nadia", "Niklaus", "Olga", "Omar", "Priya", "Radia", "Sofía", "Tariq", "Yuki",
)  # fmt: skip
LAST = (
    "Almeida", "Andersson", "Bauer", "Costa", "Dijkstra", "Eriksen", "Fischer", "García", "Haddad", "Hopper",
    "Ito", "Jansen", "Kim", "Kowalski", "Lamarr", "Lovelace", "Mehta", "Nakamura", "Novak", "O'Brien", "Okafor",
    "Patel", "Perlman", "Rossi", "Sato", "Silva", "Tanaka", "Turing", "Weber", "Wirth", "Yılmaz", "Zhang",
)  # fmt: skip
CATEGORIES = {
    "databases": ("Rowan", "Basalt", "Pagefile", "Keelbase", "Tidewater", "Quartzdb", "Loftstore", "Ledgerline"),
    "testing": ("Redgreen", "Crashbox", "Fixturely", "Snapjudge", "Probewell", "Mockless", "Asserta", "Flakehunt"),
    "deployment": ("Rollout", "Shipyard", "Bluegate", "Canaryline", "Hoist", "Driftless", "Anchorage", "Portcall"),
    "monitoring": ("Lighthouse Keeper", "Pulsewire", "Nightwatch", "Graphite Owl", "Beacon", "Uptick", "Tracery"),
    "editors": ("Inkwell", "Modal", "Margin", "Plainpane", "Cursorly", "Typeset", "Vellum"),
    "security": ("Gatehouse", "Saltbox", "Keyring", "Sealskin", "Watchword", "Tamperseal", "Quietport"),
    "data": ("Parquetry", "Streamlet", "Columnar", "Batchwise", "Reservoir", "Datumline", "Pivotal Oak"),
    "design": ("Gridwork", "Palette", "Kerning", "Wireframe Co", "Softproof", "Swatchbook", "Layerly"),
}  # fmt: skip
REMARKS = (
    "Does what it says.", "We moved to it last month and have not looked back.", "The docs are the best part.",
    "Fast, small, and the errors make sense.", "Works well, though the upgrade was bumpy.", "Exactly what I needed 🙂",
)  # fmt: skip
EDITS = (
    "clarify the description",
    "add a link to the changelog",
    "correct a typo",
    "mention the new release",
)


def slug_of(name: str) -> str:
    """``Lighthouse Keeper`` as ``lighthouse-keeper``."""
    return name.lower().replace(" ", "-")


ITEMS = [(slug_of(name), name, category) for category, names in CATEGORIES.items() for name in names]
