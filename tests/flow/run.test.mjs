// `assay run`: the same pipeline in a checkout, without a forge.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GitRepository, git } from '../fake/git.mjs';
import { FakeModel } from '../fake/model.mjs';
import { cannotRun, command, fenced, GOOD_CODE, root, script, SHOP, SPEC, WORSE_CODE } from './harness.mjs';

const options = { skip: cannotRun, timeout: 120_000 };

async function checkout(t, handler = script(), limits = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'assay run ')); // with blanks, on purpose
    const model = await new FakeModel(handler).start();
    const tree = join(folder, 'shop');
    cpSync(SHOP, tree, { recursive: true });
    await git(tree, 'init', '--quiet', '--initial-branch=main');
    await git(tree, 'add', '--all');
    await git(tree, 'commit', '--quiet', '-m', 'Start');
    const models = ['tests', 'implement', 'repair'].map((name) => ({
        name,
        kind: 'openai',
        base_url: `${model.url}/v1`,
        model: name,
    }));
    const routes = { tests: ['tests'], implement: ['implement'], repair: ['repair'] };
    writeFileSync(join(folder, 'assay.yml'), JSON.stringify({ state_dir: join(folder, 'state'), models, routes, limits }));
    writeFileSync(join(folder, 'SPEC.md'), `# ${SPEC.title}\n\n${SPEC.body}`);
    t.after(async () => {
        await model.stop();
        rmSync(folder, { recursive: true });
        model.check();
    });
    const run = (...args) =>
        command(folder, ['run', 'SPEC.md', '--config', join(folder, 'assay.yml'), '--repo', tree, ...args]);
    return { folder, tree, model, run };
}

test('makes a branch with two commits and leaves the checkout as it is', options, async (t) => {
    const { tree, run } = await checkout(t);
    const head = (await git(tree, 'rev-parse', 'HEAD')).toString();
    const { status, out, err } = await run();
    assert.equal(status, 0, err);
    assert.match(out, /^proven/);
    const branches = Object.keys(await new GitRepository(tree).branches());
    assert.deepEqual(branches, ['assay/slugs-for-product-pages', 'main']);
    const log = await new GitRepository(tree).log('main', branches[0]);
    assert.equal(log.length, 2);
    assert.equal((await git(tree, 'status', '--porcelain')).toString(), '');
    assert.equal((await git(tree, 'rev-parse', 'HEAD')).toString(), head);
});

test('prints a diff that applies', options, async (t) => {
    const { folder, tree, run } = await checkout(t);
    const { status, out } = await run('--output', 'diff');
    assert.equal(status, 0);
    writeFileSync(join(folder, 'change.diff'), out);
    await git(tree, 'apply', '--check', join(folder, 'change.diff'));
    assert.deepEqual(Object.keys(await new GitRepository(tree).branches()), ['main']);
});

test('prints JSON as documented', options, async (t) => {
    const { run } = await checkout(t);
    const { status, out } = await run('--output', 'json');
    assert.equal(status, 0);
    const value = JSON.parse(out);
    for (const name of [
        'status',
        'files',
        'diff',
        'evidence',
        'caveats',
        'assumptions',
        'rounds',
        'models',
        'tokens',
        'cost_usd',
        'seconds',
        'stages',
    ])
        assert.equal(name in value, true, name);
    assert.equal(value.status, 'proven');
    assert.deepEqual(value.files.map((file) => file.kind).sort(), ['code', 'test']);
});

const INVOICE = `
from shop.orders import Order
from shop.text import shorten


def render_invoice(order: Order, width: int = 40) -> str:
    """The order as lines of text."""
    if width < 30:
        raise ValueError("width must be at least 30")

    def line(left: str, right: str) -> str:
        return shorten(left, width - len(right) - 2).ljust(width - len(right)) + right + "\\n"

    text = line(f"Invoice {order.number}", f"{order.day:%Y-%m-%d}") + "-" * width + "\\n"
    for each in order.lines:
        text += line(f"{each.count} x {each.name}", str(each.total()).split()[0])
    if order.discount.cents:
        text += line("Discount", "-" + str(order.discount).split()[0])
    return text + "-" * width + "\\n" + line("Total", str(order.total()))
`;

test('examples and signatures may name classes of the repository', options, async (t) => {
    const { folder, run } = await checkout(t, script({ tests: 'No more tests.', implement: fenced(INVOICE) }));
    writeFileSync(join(folder, 'SPEC.md'), readFileSync(join(root, 'examples/specs/12-invoice.md')));
    const { status, out, err } = await run('--output', 'json');
    assert.equal(status, 0, err + out);
    const { status: outcome, evidence } = JSON.parse(out);
    assert.deepEqual([outcome, evidence.stub.failed, evidence.green.passed], ['proven', 2, 2]);
});

const DECLARED = `


def slugify(text: str) -> str:
    """The text as a part of an address."""
    raise NotImplementedError


${Array.from({ length: 900 }, (_, i) => `def other_${i}() -> int:\n    """A function that fills its file."""\n    return ${i}\n`).join('\n\n')}`;

test('a function that is declared in a long file is asked for as a new one, and repaired by itself', options, async (t) => {
    const { tree, model, run } = await checkout(t, script({ implement: fenced(WORSE_CODE) }));
    const path = join(tree, 'src/shop/text.py');
    writeFileSync(path, readFileSync(path, 'utf8') + DECLARED);
    writeFileSync(join(tree, 'src/shop/files.py'), 'def signature_of_file() -> str:\n    return "related to a heading only"\n');
    await git(tree, 'add', '--all');
    await git(tree, 'commit', '--quiet', '-m', 'Declare it');
    const { status, out, err } = await run();
    assert.equal(status, 0, err + out);
    const [implement] = model.of('implement');
    assert.match(implement.prompt, /^[^]*Complete this python function, which goes into the file src\/shop\/text\.py/);
    assert.doesNotMatch(implement.prompt, /signature_of_file/);
    const [repair] = model.of('repair');
    assert.match(repair.prompt, /The code so far:\n<data file="src\/shop\/text\.py">\ndef slugify/);
    assert.ok(repair.prompt.length < readFileSync(path).length / 2, `${repair.prompt.length} characters`);
    assert.match((await git(tree, 'show', 'assay/slugs-for-product-pages:src/shop/text.py')).toString(), /def other_899/);
});

const SET_COUNT = (body) => `
class Cart:
    def set_count(self, sku: str, count: int) -> None:
        """Sets the count of a product, whatever it was before."""
${body.replaceAll(/^(?=.)/gm, '        ')}`;
const MORE_METHODS = Array.from(
    { length: 600 },
    (_, i) => `\n    def other_${i}(self) -> int:\n        """A method that fills its class."""\n        return ${i}\n`,
);

test('a method of a long class is repaired below the head of its class', options, async (t) => {
    const { folder, tree, model, run } = await checkout(
        t,
        script({
            tests: 'No more tests.',
            implement: fenced(SET_COUNT('self._counts[sku] = count\n')),
            repair: fenced(
                SET_COUNT(`self._catalog.get(sku)
if count < 0:
    raise ValueError("a count is never negative")
self._counts[sku] = count
if count == 0:
    del self._counts[sku]
`),
            ),
        }),
    );
    writeFileSync(join(folder, 'SPEC.md'), readFileSync(join(root, 'examples/specs/08-cart-set-count.md')));
    const path = join(tree, 'src/shop/cart.py');
    writeFileSync(path, readFileSync(path, 'utf8') + MORE_METHODS.join(''));
    await git(tree, 'commit', '--quiet', '--all', '-m', 'Let it grow');
    const { status, out, err } = await run('--output', 'json');
    assert.equal(status, 0, err + out);
    assert.equal(JSON.parse(out).rounds, 1);
    const [repair] = model.of('repair');
    const shown = /The code so far:\n<data file="src\/shop\/cart\.py" only="what was written">\n([^]*?)<\/data>/.exec(repair.prompt);
    assert.ok(shown, repair.prompt);
    assert.match(shown[1], /^class Cart:\n    """Products and how many of each\."""\n\n    def set_count\(/);
    assert.doesNotMatch(shown[1], /def (add|other_\d+)\(/);
});

test('a repair is shown as many failures as there is room for', options, async (t) => {
    const { folder, model, run } = await checkout(t, script({ tests: 'No more tests.', implement: fenced(WORSE_CODE) }), {
        context_tokens: 800,
    });
    const examples = Array.from({ length: 20 }, (_, i) => `- \`slugify("Green Tea ${i}")\` -> \`"green-tea-${i}"\`\n`);
    writeFileSync(join(folder, 'SPEC.md'), `# ${SPEC.title}\n\n${SPEC.body}${examples.join('')}`);
    const { status, out, err } = await run('--output', 'json');
    assert.equal(status, 0, err + out);
    const [repair] = model.of('repair');
    const failures = /It fails these checks:\n([^]*)\n\nThe tests are right/.exec(repair.prompt)[1];
    const named = failures.match(/^- [^ ]*::test_/gm).length;
    assert.match(failures, /^- [^ ]*::test_[^]*?<data>[^]*?green-tea[^]*?<\/data>/, 'the first with its values');
    assert.equal(/^- and (\d+) more$/m.exec(failures)?.[1], `${22 - named}`, failures);
    assert.ok(failures.length < 2000, failures);
});

test('an unused import goes also from a file that nobody formats, and the rest of that stays as it is', options, async (t) => {
    const { tree, model, run } = await checkout(t, script({ implement: fenced(`from shop.money import Money\n\n${GOOD_CODE}`) }));
    const path = join(tree, 'src/shop/text.py');
    writeFileSync(path, `${readFileSync(path, 'utf8')}\n\nSIZES = {  'small':1 }\n`);
    await git(tree, 'commit', '--quiet', '--all', '-m', 'Write as people do');
    const { status, out, err } = await run();
    assert.equal(status, 0, err + out);
    const text = (await git(tree, 'show', 'assay/slugs-for-product-pages:src/shop/text.py')).toString();
    assert.match(text, /SIZES = \{ {2}'small':1 \}/);
    assert.match(text, /import re/);
    assert.doesNotMatch(text, /import Money/);
    assert.equal(model.of('repair').length, 0);
});

test('what cannot be proven is exit status 1 and no branch', options, async (t) => {
    const { tree, run } = await checkout(t, script({ implement: fenced(WORSE_CODE), repair: fenced(WORSE_CODE) }));
    const { status, out } = await run();
    assert.equal(status, 1);
    assert.match(out, /^needs-human/);
    assert.deepEqual(Object.keys(await new GitRepository(tree).branches()), ['main']);
});

test('a model that is down is exit status 3', options, async (t) => {
    const { run } = await checkout(t, () => ({ status: 401 }));
    const { status, err } = await run();
    assert.equal(status, 3, err);
    assert.equal(err.trim().split('\n').at(-1).includes('401'), true, err);
});

for (const [what, args, pattern] of [
    ['an unknown output', ['--output', 'poem'], /poem/],
    ['a repository that is not there', ['--repo', '/nonexistent'], /nonexistent/],
    ['a base that is not there', ['--base', 'nonsense'], /nonsense/],
])
    test(`${what} is exit status 2 and one line`, options, async (t) => {
        const { run } = await checkout(t);
        const { status, err } = await run(...args);
        assert.equal(status, 2, err);
        assert.match(err.trim(), pattern);
        assert.equal(err.trim().split('\n').length, 1, err);
    });
