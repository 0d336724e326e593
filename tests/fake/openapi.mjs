// GitHub's published OpenAPI description as a judge: which operation a request is, and what is wrong with the request
// or with the answer to it.
import { createRequire } from 'node:module';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';

const require = createRequire(import.meta.url);
const github = require('@octokit/openapi/generated/api.github.com.json');
const METHODS = new Set(['get', 'put', 'post', 'patch', 'delete']);

// OpenAPI 3.0's `nullable` in JSON Schema's words, and references that name the document, in place.
function toJsonSchema(node) {
    if (Array.isArray(node)) {
        node.forEach(toJsonSchema);
        return;
    }
    if (node === null || typeof node !== 'object') return;
    if (typeof node.$ref === 'string' && node.$ref.startsWith('#/')) node.$ref = 'github' + node.$ref;
    for (const key of Object.keys(node)) if (key !== 'example' && key !== 'examples') toJsonSchema(node[key]);
    if (node.nullable !== true) return;
    delete node.nullable;
    if (typeof node.type === 'string') {
        node.type = [node.type, 'null'];
        if (node.enum && !node.enum.includes(null)) node.enum.push(null);
    } else {
        const rest = { ...node };
        Object.keys(node).forEach((key) => delete node[key]);
        node.anyOf = [rest, { type: 'null' }];
    }
}

function resolve(node) {
    return node.$ref
        ? node.$ref
              .split('#/')[1]
              .split('/')
              .reduce((at, key) => at[key], github)
        : node;
}

// An account that is a user and an enterprise at once is a slip of the description: its own schema says "or".
github.paths['/app/installations'].get.responses[200].content['application/json'].schema.items = {
    $ref: '#/components/schemas/installation',
};
toJsonSchema(github.paths);
toJsonSchema(github.components);
const strict = new Ajv({ strict: false, allErrors: true, logger: false });
const coercing = new Ajv({ strict: false, allErrors: true, logger: false, coerceTypes: 'array' });
for (const ajv of [strict, coercing]) {
    addFormats(ajv);
    ajv.addSchema({ $id: 'github', components: github.components });
}

// Parameters that may hold slashes.
const DEEP = new Set(['path', 'ref']);

function compileRoute(template) {
    const names = [];
    let fixed = 0;
    const parts = template.split('/').map((part) => {
        const name = /^\{(\w+)\}$/.exec(part)?.[1];
        if (!name) {
            fixed += 1;
            return part.replace(/[.*+?^$()[\]|\\]/g, '\\$&');
        }
        names.push(name);
        return DEEP.has(name) ? '(.+)' : '([^/]+)';
    });
    return { template, names, fixed, pattern: new RegExp(`^${parts.join('/')}$`), item: github.paths[template] };
}

const routes = Object.keys(github.paths).map(compileRoute);
const validators = new Map();

function validator(key, ajv, schema) {
    if (!validators.has(key)) validators.set(key, ajv.compile(schema));
    return validators.get(key);
}

function problems(ajv, validate, value, what) {
    return validate(value) ? [] : validate.errors.slice(0, 5).map((e) => `${what}${e.instancePath} ${e.message}`);
}

/** The operation of a request: {key: "GET /repos/{owner}/{repo}", operation, params}; null when GitHub has none. */
export function findOperation(method, path) {
    if (!METHODS.has(method.toLowerCase())) return null;
    let best = null;
    for (const route of routes) {
        const match = route.item[method.toLowerCase()] && route.pattern.exec(path);
        if (match && (!best || route.fixed > best.route.fixed)) best = { route, match };
    }
    if (!best) return null;
    const params = Object.fromEntries(best.route.names.map((name, i) => [name, decodeURIComponent(best.match[i + 1])]));
    return {
        key: `${method} ${best.route.template}`,
        operation: best.route.item[method.toLowerCase()],
        params,
    };
}

function parametersSchema(operation, where) {
    const schema = { type: 'object', properties: {}, required: [], additionalProperties: false };
    for (const parameter of operation.parameters.map(resolve).filter((p) => p.in === where)) {
        schema.properties[parameter.name] = parameter.schema;
        if (parameter.required) schema.required.push(parameter.name);
    }
    return schema;
}

// GitHub ignores members that it does not know; a client that sends one has a misspelt name.
function withoutUnknownMembers(schema) {
    const plain = schema.properties && !schema.oneOf && !schema.anyOf && schema.additionalProperties === undefined;
    return plain ? { ...schema, additionalProperties: false } : schema;
}

/** What is wrong with a request, as texts. `body` is undefined when there was none. */
export function requestProblems({ key, operation, params }, query, body) {
    const found = [];
    for (const [where, value] of [
        ['path', { ...params }],
        ['query', { ...query }],
    ]) {
        const validate = validator(`${key} ${where}`, coercing, parametersSchema(operation, where));
        found.push(...problems(coercing, validate, value, where));
    }
    if (Number(query.per_page ?? 1) > 100) found.push('query/per_page is over 100');
    const content = operation.requestBody?.content['application/json'];
    if (!content && body !== undefined) found.push('body: this operation takes none');
    if (content && body === undefined && operation.requestBody.required) found.push('body is missing');
    if (content && body !== undefined)
        found.push(
            ...problems(strict, validator(`${key} body`, strict, withoutUnknownMembers(content.schema)), body, 'body'),
        );
    return found;
}

/** What is wrong with our own answer, as texts. */
export function responseProblems({ key, operation }, status, body) {
    const described = operation.responses[status];
    if (!described) return [`status ${status} is not described`];
    const content = resolve(described).content?.['application/json'];
    if (!content) return body === undefined ? [] : [`status ${status} has no body`];
    return problems(strict, validator(`${key} ${status}`, strict, content.schema), body, 'answer');
}

/** A copy of one of the description's own examples. */
export function example(name) {
    return structuredClone(github.components.examples[name].value);
}
