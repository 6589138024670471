// Checks a folder of outputs: `node check.mjs <folder> [--without-parser]`. Prints what is wrong and fails, or prints what was checked.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Parser } from "@asyncapi/parser";
import specs from "@asyncapi/specs";
import Ajv from "ajv";
import draft7 from "ajv/dist/refs/json-schema-draft-07.json" with { type: "json" };
import addFormats from "ajv-formats";
import ts from "typescript";

const require = createRequire(import.meta.url);
const folder = process.argv[2];
const problems = [];

const read = (name) => readFileSync(join(folder, name), "utf8");
const shown = (errors) => errors.slice(0, 10).map((error) => `${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`);

function check(name, job) {
  const start = performance.now();
  let found;
  try {
    found = job();
  } catch (error) {
    found = [error.stack ?? String(error)];
  }
  const finish = (found) => {
    console.log(`  ${found.length === 0 ? "ok    " : "WRONG "} ${name} (${Math.round(performance.now() - start)} ms)`);
    problems.push(...found.map((problem) => `${name}: ${problem}`));
  };
  return found instanceof Promise ? found.then(finish, (error) => finish([error.stack])) : finish(found);
}

function ajv() {
  const ajv = new Ajv({ strict: false, allErrors: false, validateFormats: true });
  addFormats(ajv);
  return ajv;
}

function openrpc() {
  const document = JSON.parse(read("openrpc.json"));
  const schema = require("@open-rpc/spec/1_4/schema.json");
  const meta = require("@json-schema-tools/meta-schema/schema.json");
  const checker = ajv();
  // The specification calls its dialect by an address with and without a slash at its end.
  delete schema.$schema;
  checker.addSchema({ ...meta, $id: "https://meta.json-schema.tools", $schema: undefined });
  checker.addSchema({ ...meta, $id: "https://meta.json-schema.tools/", $schema: undefined });
  const validate = checker.compile(schema);
  return validate(document) ? [] : shown(validate.errors);
}

// Made-up values are values of their schemas, and schemas are schemas of draft 7.
function samples() {
  const document = JSON.parse(read("openrpc.json"));
  const checker = ajv();
  checker.addSchema({ $id: "api", components: document.components });
  const found = [];
  const seen = new Map();
  const inApi = (schema) => JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"api#/'));
  const validator = (schema) => {
    const key = JSON.stringify(schema);
    if (!seen.has(key)) seen.set(key, checker.compile(inApi(schema)));
    return seen.get(key);
  };
  let values = 0;
  for (const method of document.methods) {
    for (const parameter of [...method.params, ...(method.result ? [method.result] : [])]) {
      if (!checker.validateSchema({ ...parameter.schema, $schema: "http://json-schema.org/draft-07/schema#" })) {
        found.push(`${method.name}: ${parameter.name} has no schema of draft 7: ${shown(checker.errors)}`);
      }
    }
    for (const example of method.examples ?? []) {
      const pairs = method.params.map((parameter, index) => [parameter, example.params[index]]);
      if (example.result) pairs.push([method.result, example.result]);
      for (const [parameter, { value }] of pairs) {
        values += 1;
        const validate = validator(parameter.schema);
        if (!validate(value)) found.push(`${method.name}: ${JSON.stringify(value)}: ${shown(validate.errors)}`);
      }
    }
  }
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    try {
      validator({ $ref: `#/components/schemas/${name}` });
    } catch (error) {
      found.push(`schema ${name}: ${error.message}`);
    }
    if (!ajv().validate(draft7, schema)) found.push(`schema ${name} is none of draft 7`);
  }
  if (existsSync(join(folder, "values.json"))) {
    for (const { type, value } of JSON.parse(read("values.json"))) {
      const validate = validator({ $ref: `#/components/schemas/${type}` });
      if (!validate(value)) found.push(`${type}: ${JSON.stringify(value)}: ${shown(validate.errors)}`);
    }
  }
  if (values === 0) found.push("no method has an example");
  return found;
}

function asyncapi() {
  const document = JSON.parse(read("asyncapi.json"));
  const validate = ajv().compile(withoutIds(specs.schemasWithoutId["3.0.0"]));
  return validate(document) ? [] : shown(validate.errors);
}

// The bundled draft 7 is known to the checker under its own name.
function withoutIds(schema) {
  const copy = structuredClone(schema);
  delete copy.$schema;
  return copy;
}

async function parsed() {
  // The parser copies objects key by key, in which `__proto__` is lost.
  const text = read("asyncapi.json").replaceAll('"__proto__"', '"proto"');
  const { document, diagnostics } = await new Parser().parse(text);
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === 0);
  const found = errors.slice(0, 10).map((error) => `${error.path.join("/")}: ${error.message}`);
  if (errors.length === 0 && document.operations().all().length === 0) found.push("it has no operations");
  return found;
}

// The values that serde writes, as literals of their types.
function literals() {
  const values = JSON.parse(read("values.json"));
  const types = [...new Set(values.map(({ type }) => type))];
  const lines = values.map(({ type, value }, index) => `export const value${index}: ${type} = ${JSON.stringify(value)};`);
  writeFileSync(join(folder, "values.ts"), [`import type { ${types.join(", ")} } from "./api";`, ...lines, ""].join("\n"));
  return typescript(["values.ts"])();
}

function typescript(files) {
  return () => {
    const options = {
      strict: true,
      noEmit: true,
      noFallthroughCasesInSwitch: true,
      noImplicitOverride: true,
      noUncheckedIndexedAccess: true,
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ES2022,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      lib: ["lib.es2022.d.ts"],
      types: [],
    };
    const program = ts.createProgram(files.map((file) => join(folder, file)), options);
    return ts.getPreEmitDiagnostics(program).slice(0, 20).map((diagnostic) => {
      const text = ts.flattenDiagnosticMessageText(diagnostic.messageText, " ");
      if (!diagnostic.file) return text;
      const { line } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start);
      const code = diagnostic.file.text.split("\n")[line].trim().slice(0, 200);
      return `${diagnostic.file.fileName}:${line + 1}: ${text.slice(0, 600)}\n      ${code}`;
    });
  };
}

check("openrpc.json is an OpenRPC 1.4.1 document", openrpc);
check("schemas are of draft 7, and examples are values of them", samples);
check("asyncapi.json is an AsyncAPI 3.0.0 document", asyncapi);
// The parser follows every way through types that refer to each other, which takes for ever where there are many.
if (!process.argv.includes("--without-parser")) {
  await check("asyncapi.json is read by AsyncAPI's parser", parsed);
}
check("api.ts compiles with strict types", typescript(["api.ts"]));
if (existsSync(join(folder, "uses.ts"))) check("uses.ts compiles with strict types", typescript(["uses.ts"]));
if (existsSync(join(folder, "values.json"))) check("values of serde are of the declared types", literals);
check("examples.ts compiles with strict types", typescript(["examples.ts"]));

if (problems.length > 0) {
  console.error(problems.map((problem) => `  - ${problem}`).join("\n"));
  process.exit(1);
}
