// Compile an OpenAPI document's schemas: node check_schemas.mjs openapi.json
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const text = readFileSync(process.argv[2], "utf8").replaceAll("#/components/schemas/", "#/$defs/");
const $defs = JSON.parse(text).components.schemas;
const ajv = new Ajv({ strictSchema: true, allowUnionTypes: true, keywords: ["example", "discriminator"] });
addFormats(ajv);
for (const name of Object.keys($defs)) {
  ajv.compile({ $ref: `#/$defs/${name}`, $defs });
}
console.log(`${Object.keys($defs).length} schemas`);
