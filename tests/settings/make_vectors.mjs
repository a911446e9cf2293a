// What the real @next/env makes of many .env files: node make_vectors.mjs MODULE_FOLDER > next_env_vectors.json
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const module = process.argv[2];
const version = JSON.parse(readFileSync(join(module, "package.json"))).version;

const lines = [
  "A=1", "A = spaced ", "A=", "A", "=x", "export A=1", "export  A = 1", "exportA=1", "A: yaml", "A:novalue", "A:  two",
  "A='single'", 'A="double"', "A=`back`", "A='a b' # comment", "A=a b # comment", "A=a#b", "A=a #b", "A='a#b'", 'A="a#b"',
  "A='it''s'", "A='it\\'s'", 'A="quote \\" in"', 'A="un', "A='un", "A=`un", 'A="line1\\nline2"', "A='line1\\nline2'",
  "A=line1\\nline2", 'A="a\nb"', "A='a\nb'", "A=`a\nb`\nB=2", 'A="a\\rb"', "A='x'y", 'A="x"y', "A=x'y'", "A=''", 'A=""',
  "A=$B\nB=2", "B=2\nA=$B", "B=2\nA=${B}", "B=2\nA='$B'", 'B=2\nA="$B"', "B=2\nA=`$B`", "B=2\nA=\\$B", 'B=2\nA="\\$B"',
  "A=${B:-def}", "A=${B:-}", "B=\nA=${B:-def}", "A=$NOPE", "A=${NOPE}x", "A=$", "A=5$", "B=2\nA=$B costs 5$", "B=2\nA=$B$B",
  "B=2\nC=3\nA=$B-$C", "B=2\nA=a$Bb", "B=2\nA=a${B}b", "A=p$P", "A=$P$P", "P=other", "P=other\nA=$P", "D=$P", "A=$DOLLAR",
  "DOLLAR=file\nA=$DOLLAR", "A=$A", "A=${A}", "A=$B\nB=$A", "A=pa$$word", "A=pa$1word", "A='pa$&word'", "B=x$$y\nA=<$B>", "B='$&'\nA=<$B>",
  "A=1\nA=2", "A=1\n\n\nB=2", "# c\nA=1", "  # c\n  A=1", "A=1 \t", "\tA=1", "A.B=1", "A-B=1", "1A=1", "A B=1", "A=1\r\nB=2\r\n", "A=1\rB=2",
  "\ufeffA=1", "A=é", "A='日本'", "A=\u00a0x\u00a0", "A=\n=2", "A\n=2", "A=\n'b'", "A=1;B=2", "A=1,2", "A={\"j\": 1}", "A='{\"j\": 1}'",
  "A=https://u:p@h/x?y=1#z", "A=postgres://u:p#w@h/db", "A=\"postgres://u:p#w@h/db\"", "A==x", "A=x=y", "A= =x", "A=\\", "A=a\\", "A=\\\\$P", "not a line", "A=1\njunk\nB=2",
  "A='a' 'b'", 'A="a" "b"', "A=`a'b\"c`", "A=\"a'b\"", "A='a\"b'", "A=#x", "A= #x", "A='#x", "A=x # 'y'", "A=${P}${B:-q}", "A=${B:-$P}", "A=${P", "A=$P}", "A=${}",
  "EMPTY=file", "A=$EMPTY", "A=${EMPTY:-d}", "VERCEL=1\nNODE_ENV=production",
];
const files = lines.map((text) => ({ ".env": text }));
files.push(
  { ".env": "Y=$Z\nW=1", ".env.local": "Z=local" }, { ".env": "Z=low\nY=$Z", ".env.local": "Z=high" },
  { ".env": "A=env", ".env.development": "A=dev", ".env.local": "A=local", ".env.development.local": "A=devlocal" },
  { ".env": "A=env", ".env.development": "A=dev" }, { ".env": "A=env", ".env.production": "A=prod", ".env.test": "A=test" },
  { ".env": "A=env", ".env.local": "A=" }, { ".env.local": "A=$B", ".env": "B=late" }, { ".env": "A=$A", ".env.local": "B=2" },
  { ".env": "A=x$B\nB=1", ".env.local": "A=y" }, { ".env": "P=1", ".env.local": "P=2\nQ=$P" },
);
const given = { P: "process", EMPTY: "", DOLLAR: "a$P" };
const vectors = [];
for (const mode of ["development", "production", "test"])
  for (const set of files) {
    if (mode !== "development" && Object.keys(set).length < 2) continue;
    const folder = mkdtempSync(join(tmpdir(), "vectors-"));
    for (const [name, text] of Object.entries(set)) writeFileSync(join(folder, name), text);
    const script = `const {loadEnvConfig} = require(${JSON.stringify(module)});
      const {combinedEnv} = loadEnvConfig(${JSON.stringify(folder)}, ${mode === "development"}, {info() {}, error() {}});
      delete combinedEnv.__NEXT_PROCESSED_ENV; process.stdout.write(JSON.stringify(combinedEnv));`;
    const output = execFileSync(process.execPath, ["-e", script], { env: { ...given, NODE_ENV: mode }, encoding: "utf8" });
    vectors.push({ mode, files: set, expected: JSON.parse(output) });
  }
console.log(JSON.stringify({ source: `@next/env ${version}`, process: given, vectors }, null, 1));
