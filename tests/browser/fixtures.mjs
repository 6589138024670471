// Descriptions that no API should have: one that attacks its pages, and one of 300 methods and 500 types.
// node fixtures.mjs <folder>
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ATTACKS = [
  "<script>window.pwned=1</script>",
  '<img src=x onerror="window.pwned=1">',
  '"><svg onload="window.pwned=1">',
  "</script><script>window.pwned=1</script>",
  "[click](javascript:window.pwned=1)",
  "[click](JaVaScRiPt:window.pwned=1)",
  "[click](data:text/html,<script>window.pwned=1</script>)",
  "![picture](https://example.com/track.png)",
  "![<b>](javascript:window.pwned=1)",
  "<javascript:window.pwned=1>",
  "<div onmouseover='window.pwned=1'>\n\n# A heading\n\n###### Another\n\n</div>",
  "`</code><script>window.pwned=1</script>`",
  "```rust\n</code></pre><script>window.pwned=1</script>\n```",
  "[`Evil::nothing`] [Evil](Evil::constructor) [Same] [`Kind::</script>`] [x]: javascript:window.pwned=1\n\n[x]",
  "| a | b |\n|---|---|\n| <script>window.pwned=1</script> | [c](vbscript:x) |",
  "*/ --> ]]> ${window.pwned=1} {{window.pwned=1}} \u2028 \u2029 \u0000 \u202e",
];
const DOCS = ATTACKS.join("\n\n");
const EVIL = '"><script>window.pwned=1</script>';

const value = (type, rust) => ({ type, rust: rust ?? "()" });
const ref = (name) => ({ ref: name });
const plain = { fingerprint: "00000000000000ff" };

function hostile() {
  const method = (name, more = {}) => ({ name, docs: DOCS, result: value("unit"), ...plain, ...more });
  const stream = { stream: { item: ref(EVIL), error: ref("Kind") } };
  const names = ["constructor", "__proto__", "hasOwnProperty", "</script>", EVIL, "a b", "#", "ünï.cödé", "x".repeat(300)];
  const types = [
    { name: EVIL, docs: DOCS, shape: { struct: [{ name: EVIL, docs: DOCS, type: "string", aliases: [EVIL], deprecated: DOCS }] } },
    { name: "Kind", docs: DOCS, shape: { enum: [
      { name: "</script>", docs: DOCS, message: EVIL, content: { struct: [{ name: "__proto__", docs: DOCS, type: ref("Tree") }] } },
      { name: "__proto__", message: "</title>", content: { newtype: ref(EVIL) }, is_other: true, aliases: ["constructor"] },
    ] } },
    { name: "Long", docs: `${"A long line of a comment. ".repeat(4200)}\n\n${"> ".repeat(400)}deep`, shape: "unit" },
    { name: "Tree", path: "a::Tree", docs: "A [Tree] of [`Tree`]s.", shape: { struct: [{ name: "children", type: { list: ref("Tree") } }, { name: "other", type: { option: ref("Loop") } }] } },
    { name: "Loop", shape: { newtype: { option: ref("Tree") } } },
    { name: "a::Same", path: "a::Same", docs: "One of two. [a::Same] [Same]", shape: { newtype: "string" } },
    { name: "b::Same", path: "b::Same", docs: "The other. [b::Same]", shape: { newtype: ref("a::Same") }, schema: { "</script>": EVIL } },
    { name: "constructor", shape: { opaque: {} } },
    { name: "Odd", shape: { unknown: EVIL }, json: "string" },
    { name: "Nothing", shape: "never" },
  ];
  types.sort((one, next) => (one.name < next.name ? -1 : 1));
  const evil = {
    name: "Evil", docs: DOCS, implemented_by: "both", is_root: true, ordered: true,
    methods: names.map((name) => method(name, {
      arguments: [
        { name: EVIL, ...value(ref(EVIL), EVIL) },
        { name: "__proto__", ...value({ map: { key: ref("Kind"), value: stream } }, "Map<_, _>") },
        { name: "objects", ...value({ list: { object: "evil" } }, EVIL) },
      ],
      result: value({ tuple: [stream, { object: "evil" }, ref("Tree"), { unknown: EVIL }] }, EVIL),
      error: value(ref("Kind"), EVIL), idempotent: true, no_cancel: true, batch: "constructor", deprecated: DOCS, problems: [EVIL],
    })),
  };
  const lower = { name: "evil", rust_name: "EvilTwin", docs: DOCS, implemented_by: "client", is_root: false, methods: [method("heard", { oneway: true })] };
  const odd = { name: '../../<"x">', docs: DOCS, implemented_by: "server", is_root: false, methods: [] };
  return {
    format: 1, title: `</title>${EVIL}`, version: EVIL, docs: DOCS, services: [evil, lower, odd], types,
    flows: [
      { type: ref(EVIL), from: names.map((method) => ({ service: "Evil", method, path: [{ field: EVIL }] })), into: names.map((method) => ({ argument: { service: "Evil", method, argument: EVIL } })) },
      { type: { object: "evil" }, from: [{ service: "Evil", method: "constructor" }], into: [{ target: { service: "evil" } }] },
      { type: "string", from: [{ service: "Evil", method: "constructor" }], into: [] },
    ],
    limits: [{ name: EVIL, value: EVIL, meaning: DOCS }],
  };
}

const WORDS = ["account", "order", "invoice", "room", "message", "member", "device", "session", "report", "ticket", "payment", "catalogue"];
const VERBS = ["find", "list", "create", "rename", "archive", "watch", "import", "export", "approve", "merge"];
const capital = (word) => word[0].toUpperCase() + word.slice(1);

function big() {
  const types = [];
  for (let at = 0; at < 500; at++) {
    const name = `${capital(WORDS[at % 12])}${capital(VERBS[Math.floor(at / 12) % 10])}${at}`;
    const other = (step) => ref(types[(at * step) % at].name);
    const fields = ["id", "owner", "label", "state"].map((field, place) => ({
      name: `${field}_${at % 7}`, docs: `The ${field} of the ${name}.`, type: place > 1 || at < 2 ? "string" : { option: other(place + 3) },
    }));
    const shape = at % 5 === 0
      ? { enum: ["Missing", "Refused", "Busy"].map((word) => ({ name: word, docs: `It is ${word}.`, message: word })) }
      : at % 3 === 0 ? { newtype: "u64" } : { struct: fields };
    types.push({ name, path: `big::${name}`, docs: `What is known about the ${WORDS[at % 12]}. See [\`Service1::find_account_30\`].`, shape, pipelined: true });
  }
  const errors = types.filter((type) => type.shape.enum);
  const newtypes = types.filter((type) => type.shape.newtype);
  const services = [];
  for (let at = 0; at < 30; at++) {
    const methods = VERBS.map((verb, place) => {
      const number = at * 10 + place;
      const argument = newtypes[number % newtypes.length].name;
      const result = types[(number * 7) % 500].name;
      const object = place === 0 && at * 3 + 1 < 30 ? `Service${at * 3 + 1}` : null;
      return {
        name: `${verb}_${WORDS[number % 12]}_${number}`, docs: `Does **${verb}** with the [${argument}].\n\n# Errors\nWhen it is missing.`,
        arguments: [{ name: "id", ...value(ref(argument), argument) }, { name: "note", ...value({ option: "string" }, "Option<String>") }],
        result: object ? value({ object }, `${object}Client`) : value(ref(result), result),
        error: value(ref(errors[number % errors.length].name), "E"), ...plain,
      };
    });
    services.push({ name: `Service${at}`, docs: `Work with every ${WORDS[at % 12]}.`, implemented_by: "server", is_root: at === 0 || at % 3 !== 1, methods });
  }
  const methods = services.flatMap((service) => service.methods.map((method) => [service.name, method]));
  const flows = newtypes.map((type, at) => ({
    type: ref(type.name),
    from: methods.filter((_, place) => place % 37 === at % 37).map(([service, method]) => ({ service, method: method.name, path: [{ field: "id" }] })),
    into: methods.filter(([, method]) => method.arguments[0].type.ref === type.name).map(([service, method]) => ({ argument: { service, method: method.name, argument: "id" } })),
  })).filter((flow) => flow.from.length && flow.into.length);
  for (const [service, method] of methods) {
    const object = method.result.type.object;
    if (object) flows.push({ type: { object }, from: [{ service, method: method.name }], into: [{ target: { service: object } }] });
  }
  types.sort((one, next) => (one.name < next.name ? -1 : 1));
  return { format: 1, title: "Everything", version: "9.0.0", docs: "A large API.", services, types, flows };
}

const folder = process.argv[2];
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "hostile.json"), JSON.stringify(hostile(), null, 1));
writeFileSync(join(folder, "big.json"), JSON.stringify(big(), null, 1));
writeFileSync(join(folder, "hostile-page.md"), `# A page\n\n${DOCS}\n\n## Twice\n\n## Twice\n`);
