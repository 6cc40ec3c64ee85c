// Lints the OpenAPI document: references resolve, operations are named once and documented, path parameters are declared, every operation says
// how it fails (RFC 9457). That it matches the routes is tested by tests/unit/api and tests/api. Usage: node tools/check-openapi.mjs FILE
import { readFileSync } from "node:fs";

const document = JSON.parse(readFileSync(process.argv[2], "utf8"));
const complaints = [];
const complain = (where, what) => complaints.push(`${where}: ${what}`);
const methods = ["get", "put", "post", "delete", "patch", "head", "options"];

const resolve = (pointer) =>
	pointer.slice(2).split("/").reduce((node, key) => node?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], document);

function checkReferences(node, where) {
	if (node === null || typeof node !== "object")
		return;
	if (typeof node.$ref === "string" && (!node.$ref.startsWith("#/") || resolve(node.$ref) === undefined))
		complain(where, `${node.$ref} leads nowhere`);
	for (const [key, value] of Object.entries(node))
		checkReferences(value, `${where}/${key}`);
}

const follow = (node) => (node?.$ref ? resolve(node.$ref) : node);

function checkParameters(path, item, operation, where) {
	const wanted = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
	const declared = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(follow).filter((parameter) => parameter?.in === "path");
	for (const name of wanted)
		if (!declared.some((parameter) => parameter.name === name && parameter.required === true))
			complain(where, `path parameter ${name} is not declared as required`);
	for (const parameter of declared)
		if (!wanted.includes(parameter.name))
			complain(where, `parameter ${parameter.name} is not in the path`);
}

function checkResponses(operation, where) {
	const responses = Object.entries(operation.responses ?? {});
	if (!responses.some(([status]) => /^2\d\d$/.test(status)))
		complain(where, "no successful response");
	for (const [status, reference] of responses) {
		const response = follow(reference);
		if (!response?.description)
			complain(where, `response ${status} has no description`);
		if (/^[45]/.test(status) && response?.content && !response.content["application/problem+json"])
			complain(where, `response ${status} is not a problem document`);
	}
}

const names = new Set();
for (const [path, item] of Object.entries(document.paths ?? {})) {
	for (const [method, operation] of Object.entries(item)) {
		if (!methods.includes(method))
			continue;
		const where = `${method.toUpperCase()} ${path}`;
		if (!operation.operationId || names.has(operation.operationId))
			complain(where, "needs an operationId of its own");
		names.add(operation.operationId);
		if (!operation.summary && !operation.description)
			complain(where, "has neither summary nor description");
		checkParameters(path, item, operation, where);
		checkResponses(operation, where);
	}
}
if (!/^3\.1\./.test(document.openapi ?? ""))
	complain("openapi", "must be 3.1");
if (names.size === 0)
	complain("paths", "there are none");
checkReferences(document, "#");
for (const complaint of complaints)
	console.error(complaint);
process.exitCode = complaints.length === 0 ? 0 : 1;
