// A GitHub that accepts a request and never answers, once at each kind of request that a job makes: node silence.mjs.
// Takes a quarter of an hour, as each silence is waited out (30 s for the API, two minutes for git). Exit status 1 when
// something does not hold afterwards.
import { until, world } from '../flow/harness.mjs';
import { atRest, audit } from './audit.mjs';

const REQUESTS = [
    /^POST .*\/access_tokens$/,
    /^GET .*\/permission$/,
    /^POST .*\/issues\/\d+\/comments$/,
    /^POST .*\/reactions$/,
    /^GIT GET .*git-upload-pack/,
    /^GIT POST .*git-upload-pack/,
    /^PATCH .*\/issues\/comments\/\d+$/,
    /^POST .*\/check-runs$/,
    /^GIT GET .*git-receive-pack/,
    /^GIT POST .*git-receive-pack/,
    /^POST .*\/pulls$/,
];
const HOUR = 3_600_000;

const last = [];
const w = await world({ after: (deed) => last.push(deed) }, { lenient: true });
const silences = REQUESTS.map((match) => w.gh.fault({ match, end: 'stall' }));
const began = Date.now();
const issue = w.ask();
const found = await until('there is a pull request', () => w.gh.pulls(w.repo).length > 0, HOUR)
    .then(() => atRest(w, HOUR))
    .then(() => audit(w, [issue]))
    .catch((error) => [error.message]);
for (const one of silences) if (one.hits !== 1) found.push(`${one.match}: ${one.hits} times`);
console.log(`${silences.length} silences, ${Math.round((Date.now() - began) / 1000)} s: ${found.length ? found.join('\n  ') : 'all is well'}`);
if (found.length) console.log(w.assay.log);
for (const deed of last) await deed();
process.exit(found.length ? 1 : 0);
