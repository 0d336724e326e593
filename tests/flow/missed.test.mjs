// What webhooks do not tell: events while nobody listens, deliveries that fail, and both ways to find them at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotRun, SPEC, until, wait, world } from './harness.mjs';

const options = { skip: cannotRun, timeout: 300_000 };
const often = { catch_up: { deliveries: '1s', repositories: '1s' } };
const AGAIN = 'POST /app/hook/deliveries/{delivery_id}/attempts';

/** Things happen while the program is down; then it is started again. */
async function outage(w, deeds) {
    await w.assay.stop();
    const made = deeds();
    await w.gh.settled();
    await w.assay.start();
    return made;
}

const asked = (w) => w.writes(AGAIN).length;

test('a receiver that was down: each event is asked for again and leads to one job', options, async (t) => {
    const w = await world(t);
    const [first, second] = await outage(w, () => [w.ask(), w.ask({ title: 'Slugs, please' })]);
    const jobs = await w.ended(2);
    assert.equal(jobs.length, 2);
    assert.equal(asked(w), 4, 'opened and labeled of two issues');
    for (const issue of [first, second])
        assert.deepEqual(
            issue.reactions.map((one) => one.content),
            ['eyes'],
        );
    assert.equal(w.gh.pulls(w.repo).length, 2);
    for (const job of jobs) {
        const { request } = JSON.parse((await w.assay.command('show', String(job.id), '--json')).out);
        assert.equal(request.text_as_of, undefined, 'the text came with the delivery');
    }
});

test('asking again in vain: it is read from the list', options, async (t) => {
    const w = await world(t, { config: { catch_up: { deliveries: '1s', repositories: '0s' } } });
    const { webhook } = w.gh;
    await outage(w, () => {
        w.gh.webhook = webhook.replace(/:\d+/, ':1'); // nobody is there, now or later
        w.ask();
    });
    await w.pull();
    assert.equal((await w.assay.jobs()).length, 1);
    assert.match(w.assay.log, /read from the list of deliveries/);
});

test('no delivery was ever made: labels and commands are found in the repository', options, async (t) => {
    const w = await world(t, { config: { catch_up: { repositories: '10m' } } }); // so: at each start
    const plain = w.gh.openIssue(w.repo, { ...SPEC, user: 'mia' });
    await w.answered(plain); // so the repository was heard of
    const { webhook } = w.gh;
    const [labelled, refused, taken] = await outage(w, () => {
        w.gh.webhook = null;
        const issues = [
            w.ask(),
            w.gh.openIssue(w.repo, { ...SPEC, title: 'Not by eve', user: 'eve', labels: ['assay'] }),
            w.ask({ title: 'Never mind' }),
        ];
        w.gh.removeLabel(w.repo, issues[2], 'assay', 'mia');
        w.gh.addComment(w.repo, plain, '/status', 'mia');
        w.gh.addComment(w.repo, plain, 'nice weather', 'mia');
        const edited = w.gh.addComment(w.repo, plain, '/help', 'mia');
        edited.updatedAt += 5000;
        return issues;
    });
    w.gh.webhook = webhook;
    const [job] = await w.ended();
    assert.equal(job.number, labelled.number);
    const { request } = JSON.parse((await w.assay.command('show', String(job.id), '--json')).out);
    assert.deepEqual([request.trigger, request.requester], ['label', 'mia']);
    assert.match(request.text_as_of, /^2\d\d\d-/);
    await until('eve is told', () => w.said(refused).length === 1);
    assert.match(w.said(refused)[0], /eve/);
    await until('/status is answered', () => w.said(plain).length === 2);
    assert.equal(w.said(taken).length, 0);
    assert.equal((await w.assay.jobs()).length, 1);
    assert.equal(asked(w), 0);
});

test('failed, asked for again, sent by hand and found in the repository: one job', options, async (t) => {
    const w = await world(t, { config: often });
    const issue = await outage(w, () => {
        const one = w.ask();
        w.gh.changeIssue(w.repo, one, { body: `${SPEC.body}\nMore words.` }, 'mia'); // another text, when it is found
        return one;
    });
    for (const delivery of w.gh.deliveries) w.gh.sendAgain(delivery);
    await w.pull();
    const looks = () => w.gh.requests.filter((one) => /\/shop\/issues$/.test(one.path)).length;
    const before = looks(); // the look at the repository leaves time to what was asked for again
    await until('the repository is looked at', () => looks() > before + 1, 30_000);
    for (const delivery of w.gh.deliveries) w.gh.sendAgain(delivery);
    await w.gh.settled();
    await wait(1000);
    assert.equal((await w.assay.jobs()).length, 1);
    assert.deepEqual(w.markers(issue), ['job:1:progress']);
    assert.equal(w.gh.pulls(w.repo).length, 1);
});

test('found first, with the text of then; what the webhook brings later is the same request', options, async (t) => {
    const w = await world(t, { config: { catch_up: { deliveries: '0s', repositories: '1s', everywhere: true } } });
    await outage(w, () => {
        const one = w.ask();
        w.gh.changeIssue(w.repo, one, { body: `${SPEC.body}\nMore words.` }, 'mia');
        return one;
    });
    await until('it is found', async () => (await w.assay.jobs()).length === 1, 20_000);
    for (const delivery of w.gh.deliveries) w.gh.sendAgain(delivery);
    await w.gh.settled();
    await w.pull();
    const [job, ...others] = await w.assay.jobs();
    assert.deepEqual(others, []);
    const { request } = JSON.parse((await w.assay.command('show', String(job.id), '--json')).out);
    assert.match(request.body, /More words/);
    assert.equal(asked(w), 0);
});

test('without an App there is no list, and the log says so once; the repositories are looked at', options, async (t) => {
    const w = await world(t, { github: { lacks: ['apps'] }, token: 'pat-4711', config: often });
    const issue = w.gh.openIssue(w.repo, { ...SPEC, user: 'mia' });
    await w.answered(issue);
    const { webhook } = w.gh;
    await outage(w, () => {
        w.gh.webhook = null;
        w.gh.addComment(w.repo, issue, '/status', 'mia');
    });
    w.gh.webhook = webhook;
    await until('/status is answered', () => w.said(issue).length === 2, 30_000);
    assert.equal(w.assay.log.match(/no App, so no list of deliveries/g).length, 2, 'once for each start');
});

test('only repositories that were heard of are looked at, each with a token for it alone', options, async (t) => {
    const w = await world(t, { config: often });
    await wait(2500);
    assert.ok(!w.gh.requests.some((one) => /\/issues/.test(one.path)), 'nothing was heard of yet');
    await w.answered(w.gh.openIssue(w.repo, { ...SPEC, user: 'mia' }));
    await until('it is looked at', () => w.gh.requests.some((one) => /\/shop\/issues$/.test(one.path)), 30_000);
    assert.ok(!w.gh.requests.some((one) => /installation\/repositories/.test(one.path)));
    assert.ok([...w.gh.tokens.values()].every((one) => !one.installation || one.repositories?.size === 1));
});
