"""Which line of a TOML text a key stands on: ``tomllib`` gives values without places."""

Path = tuple[str, ...]


def lines_of_keys(text: str) -> dict[Path, int]:
    """Each table and key of a valid TOML text by its whole path, with its line from 1.

    Keys inside an inline table or an array stand where that begins.
    """
    return _Locator(text).run()


class _Locator:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._table: Path = ()
        self._found: dict[Path, int] = {}
        self._line, self._counted = 1, 0

    def run(self) -> dict[Path, int]:
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in " \t\r\n":
                self._at += 1
            elif char == "#":
                self._skip_line()
            elif char == "[":
                while self._peek() == "[":
                    self._at += 1
                self._table = self._key_path()
                self._note(self._table)
                self._skip_line()
            else:
                start = self._at
                path = self._table + self._key_path()
                self._note(path, start)
                self._skip_value()
        return self._found

    def _note(self, path: Path, at: int | None = None) -> None:
        upto = self._at if at is None else at
        self._line += self._text.count("\n", self._counted, upto)  # from the last key, not from the start
        self._counted = upto
        for length in range(1, len(path) + 1):
            self._found.setdefault(path[:length], self._line)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip_line(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end

    def _key_path(self) -> Path:
        parts: list[str] = []
        while True:
            self._skip_blanks()
            parts.append(self._key())
            self._skip_blanks()
            if self._peek() != ".":
                return tuple(parts)
            self._at += 1

    def _skip_blanks(self) -> None:
        while self._peek() in {" ", "\t"}:
            self._at += 1

    def _key(self) -> str:
        start = self._at
        if self._peek() in {'"', "'"}:
            self._skip_string()
            return _unquoted(self._text[start : self._at])
        while self._peek() and self._peek() not in " \t.=]\r\n":
            self._at += 1
        return self._text[start : self._at]

    def _skip_value(self) -> None:
        """To the end of the line that ends the value, however many lines it has."""
        depth = 0
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in "\"'":
                self._skip_string()
                continue
            if char == "#":
                self._skip_line()
                continue
            depth += (char in "[{") - (char in "]}")
            if char == "\n" and depth <= 0:
                return
            self._at += 1

    def _skip_string(self) -> None:
        quote = self._text[self._at]
        mark = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._at += len(mark)
        while self._at < len(self._text) and not self._text.startswith(mark, self._at):
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        self._at += len(mark)
        while len(mark) == 3 and self._peek() == quote:
            self._at += 1


def _unquoted(key: str) -> str:
    if "\\" not in key or key[0] == "'":
        return key[1:-1]
    import tomllib

    return str(tomllib.loads(f"key = {key}")["key"])
