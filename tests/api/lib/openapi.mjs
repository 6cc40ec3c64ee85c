// Holds every reply of the tests against api/openapi.json.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

export const contract = JSON.parse(readFileSync("api/openapi.json", "utf8"));

const ajv = new Ajv({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema(contract, "contract");

const compiled = new Map();
function validator(pointer) {
	if (!compiled.has(pointer))
		compiled.set(pointer, ajv.compile({ $ref: `contract#${pointer}` }));
	return compiled.get(pointer);
}
const escape = (part) => part.replaceAll("~", "~0").replaceAll("/", "~1").replaceAll("{", "%7B").replaceAll("}", "%7D");

// { template, operation } of a request, or undefined.
export function operationOf(method, path) {
	const verb = method === "HEAD" ? "get" : method.toLowerCase();
	for (const [template, item] of Object.entries(contract.paths)) {
		const pattern = new RegExp(`^${template.replace(/[.]/g, "\\.").replace(/\{\w+\}/g, "[^/]+")}$`);
		if (pattern.test(path) && item[verb])
			return { template, verb, operation: item[verb] };
	}
	return undefined;
}

function check(pointer, reply) {
	const validate = validator(pointer);
	assert.ok(validate(reply.body), `${pointer}: ${JSON.stringify(validate.errors)} in ${reply.text}`);
}

function checkProblem(reply) {
	assert.match(reply.headers["content-type"] ?? "", /^application\/problem\+json$/);
	assert.equal(reply.body.status, reply.status);
	assert.equal(reply.body.type, `urn:duplex:problem:${reply.body.code}`);
	check("/components/schemas/Problem", reply);
}

// Throws unless `reply` is one that the contract allows for the request.
export function checkReply(method, path, reply) {
	const found = operationOf(method, path);
	if (reply.status >= 400 && method !== "HEAD")
		checkProblem(reply);
	if (!found)
		return;
	const { template, verb, operation } = found;
	let documented = operation.responses[reply.status];
	assert.ok(documented, `${operation.operationId} answers ${reply.status}, which is not documented: ${reply.text}`);
	let pointer = `/paths/${escape(template)}/${verb}/responses/${reply.status}`;
	if (documented.$ref) {
		pointer = documented.$ref.slice(1);
		documented = contract.components.responses[pointer.split("/").at(-1)];
	}
	for (const [name, header] of Object.entries(documented.headers ?? {}))
		assert.ok(!header.required || reply.headers[name.toLowerCase()] !== undefined, `${operation.operationId} ${reply.status} lacks ${name}`);
	const type = Object.keys(documented.content ?? {})[0];
	if (type === undefined || method === "HEAD")
		return assert.equal(reply.text, "", `${operation.operationId} ${reply.status} has a body`);
	assert.equal(reply.headers["content-type"], type);
	return check(`${pointer}/content/${escape(type)}/schema`, reply);
}
