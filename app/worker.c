/* Claims jobs and runs each in a process of its own: heartbeat, deadline, cancellation, and what becomes of a job whose
 * process has died. It holds no forge: what is to be said there, a small process of the job says. */
#include "app/worker.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/attempt.h"
#include "app/base/clock.h"
#include "app/base/fs.h"
#include "app/cli.h"
#include "app/config.h"
#include "app/home.h"
#include "app/housekeeper.h"
#include "app/source.h"
#include "app/stop.h"

enum {
    TICK_MS = 200,
    LEASE_MS = 30 * 1000,
    EXTEND_MS = 5 * 1000,  /* between two heartbeats */
    LOOK_MS = 400,         /* between two looks for a wish to cancel, where nobody tells of one */
    CLAIM_MS = 2 * 1000,   /* between two looks for a job where somebody tells of new ones, and the message was lost */
    RECOVER_MS = 5 * 1000, /* between two looks for jobs of dead workers */
    GRACE_MS = 20 * 1000,  /* from SIGTERM to SIGKILL: time to say goodbye on the forge */
    CANCEL_GRACE_MS = 800, /* the same when a person has asked: two seconds for all of it, from their word */
    DRAIN_MS = 3 * 1000,   /* how long a running job may go on when the worker is stopped: it loses one stage at most */
    DRAIN_GRACE_MS = 6 * 1000,
    SETTLE_MS = 2 * 1000, /* between two tries to note what becomes of a job */
    BURY_MS = 3 * 60 * 1000,
    BURIALS_MAX = 3, /* tries */
};

/* One job that is being carried out (or buried). */
struct slot {
    int64_t job; /* 0: the slot is free */
    int attempt;
    int64_t fence; /* of our claim */
    pid_t pid;     /* 0: it has ended, and what follows is not decided yet */
    int status;
    enum worker_cause cause;
    bool lost; /* the job is not ours any more */
    struct worker_verdict verdict;
    int burials;                            /* how often its end was to be told on the forge */
    int64_t started_ms, extend_ms, kill_ms; /* monotonic: when it began, when each is due; 0: never */
    int64_t settle_ms;                      /* not before: what becomes of it could not be noted */
};

struct worker {
    struct config config;
    const char *config_path;
    struct log log;
    struct store *store;
    struct stop stop;
    struct home home;
    struct housekeeper keeper;
    struct slot *slots;
    int64_t *cancelled; /* room for the jobs of all slots */
    size_t slot_count;
    int64_t recover_ms, drain_ms, claim_ms, look_ms; /* when each is due; monotonic */
    bool news;                                       /* there may be something to claim */
};

/* ---- processes ---- */

static _Noreturn void become(char *const argv[], pid_t parent)
{
    stop_unblock();
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) /* else it died before the line above */
        execv("/proc/self/exe", argv);
    _exit(127);
}

static int spawn(struct worker *worker, struct slot *slot, char *const argv[], struct error *err)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return error_system(err, errno, "start a process for job %lld", (long long)slot->job);
    if (pid == 0)
        become(argv, parent);
    setpgid(pid, pid);
    int64_t now = clock_monotonic_ms();
    slot->pid = pid;
    slot->started_ms = now;
    slot->kill_ms = 0;
    slot->cause = CAUSE_NONE;
    log_info(&worker->log, "job %lld, attempt %d: process %d%s", (long long)slot->job, slot->attempt, (int)pid,
             slot->burials ? " says how it ended" : "");
    return 0;
}

static const char *state_option(enum job_state state)
{
    return state == JOB_CANCELLED ? "cancelled" : state == JOB_FAILED ? "failed" : "needs-human";
}

static int start(struct worker *worker, struct slot *slot, struct error *err)
{
    char id[32];
    char attempt[32];
    char claim[32];
    char *argv[14] = {"assay", "job", id, "--attempt", attempt, "--claim", claim};
    size_t count = 7;
    snprintf(id, sizeof id, "%lld", (long long)slot->job);
    snprintf(attempt, sizeof attempt, "%d", slot->attempt);
    snprintf(claim, sizeof claim, "%lld", (long long)slot->fence);
    if (worker->config_path) {
        argv[count++] = "--config";
        argv[count++] = (char *)worker->config_path;
    }
    if (slot->burials) {
        argv[count++] = "--bury";
        argv[count++] = slot->verdict.reason;
        argv[count++] = "--as";
        argv[count++] = (char *)state_option(slot->verdict.state);
    }
    return spawn(worker, slot, argv, err);
}

static void signal_group(const struct slot *slot, int number)
{
    kill(-slot->pid, number);
    kill(slot->pid, number);
}

static void end_process(struct slot *slot, enum worker_cause cause)
{
    static const int64_t grace_ms[] = {
        [CAUSE_CANCELLED] = CANCEL_GRACE_MS, [CAUSE_LATE] = GRACE_MS, [CAUSE_DRAINED] = DRAIN_GRACE_MS};
    if (slot->kill_ms)
        return;
    slot->cause = cause;
    slot->kill_ms = clock_monotonic_ms() + grace_ms[cause];
    signal_group(slot, SIGTERM);
}

/* ---- what becomes of a job ---- */

static void remove_workspace(struct worker *worker, const char *name)
{
    struct error err = {0};
    AUTO_FREE char *work = source_work_dir(&worker->config);
    AUTO_FREE char *path = text_format("%s/%s", work, name);
    if (path && fs_remove_tree(path, &err) < 0)
        log_warn(&worker->log, "%s", err.message);
}

static void free_slot(struct worker *worker, struct slot *slot)
{
    char name[64];
    snprintf(name, sizeof name, "%lld-%d", (long long)slot->job, slot->attempt);
    remove_workspace(worker, name);
    *slot = (struct slot){0};
    worker->news = true;
}

static int note_tries(struct worker *worker, const struct slot *slot, struct error *err)
{
    json_auto_t *tries = json_pack("{s:i, s:i}", "crashed", slot->verdict.crashed, "outside", slot->verdict.outside);
    return store_job_publish(worker->store, slot->job, "tries", tries, err);
}

/* Its burial has failed every time, too: the store at least knows. */
static int finish_without_words(struct worker *worker, struct slot *slot, struct error *err)
{
    const struct worker_verdict *verdict = &slot->verdict;
    const char *outcome = verdict->state == JOB_DONE ? "needs-human" : "";
    if (store_job_finish(worker->store, slot->job, verdict->state, outcome, verdict->reason, err) < 0)
        return -1;
    log_warn(&worker->log, "job %lld ended and nobody on the forge was told: %s", (long long)slot->job,
             verdict->reason);
    free_slot(worker, slot);
    return 0;
}

static int bury(struct worker *worker, struct slot *slot, struct error *err)
{
    if (slot->burials == BURIALS_MAX)
        return finish_without_words(worker, slot, err);
    slot->burials++;
    return start(worker, slot, err);
}

/* Up to a quarter more, so that the jobs that one outage has put back do not come together. */
static int64_t with_jitter(int64_t wait_ms)
{
    return wait_ms + arc4random_uniform((uint32_t)(wait_ms / 4) + 1);
}

static int carry_on(struct worker *worker, struct slot *slot, struct error *err)
{
    struct job job;
    if (store_job_get(worker->store, slot->job, &job, err) < 0)
        return -1;
    slot->verdict = worker_judge(&job, slot->status, slot->cause, worker->config.limits.job_timeout_ms);
    job_release(&job);
    log_info(&worker->log, "job %lld %s: %s", (long long)slot->job,
             slot->verdict.next == NEXT_BURY ? "ends" : "is put back", slot->verdict.reason);
    if (note_tries(worker, slot, err) < 0)
        return -1;
    if (slot->verdict.next == NEXT_BURY)
        return bury(worker, slot, err);
    int64_t not_before_ms = store_now_ms(worker->store) + with_jitter(slot->verdict.wait_ms);
    if (store_job_requeue(worker->store, slot->job, not_before_ms, slot->verdict.reason, err) < 0)
        return -1;
    free_slot(worker, slot);
    return 0;
}

/* The process has ended. If the job still runs by the store's word and is ours, something must be done about it. */
static void settle(struct worker *worker, struct slot *slot)
{
    struct error err = {0};
    bool cancel;
    int status = slot->lost ? error_set(&err, ERROR_CONFLICT, "lost")
                            : store_job_extend(worker->store, slot->job, worker->home.name,
                                               store_now_ms(worker->store) + LEASE_MS, &cancel, &err);
    if (status < 0 && err.code == ERROR_CONFLICT) {
        log_info(&worker->log, "job %lld: process ended", (long long)slot->job);
        free_slot(worker, slot);
        return;
    }
    if (status == 0)
        status = slot->burials ? bury(worker, slot, &err) : carry_on(worker, slot, &err);
    if (status == 0)
        return;
    slot->settle_ms = clock_monotonic_ms() + SETTLE_MS;
    log_error(&worker->log, "what becomes of job %lld cannot be noted: %s", (long long)slot->job, err.message);
    if (worker->drain_ms && slot->settle_ms > worker->drain_ms) /* whoever starts next finds it running */
        free_slot(worker, slot);
}

/* ---- watching over a process ---- */

static bool reap(struct slot *slot)
{
    int status;
    pid_t got = waitpid(slot->pid, &status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR))
        return false;
    kill(-slot->pid, SIGKILL); /* what it may have left in its group */
    slot->status = got < 0 ? 0 : status;
    slot->pid = 0;
    return true;
}

static void extend(struct worker *worker, struct slot *slot, int64_t now)
{
    struct error err = {0};
    bool cancel = false;
    slot->extend_ms = now + EXTEND_MS;
    if (store_job_extend(worker->store, slot->job, worker->home.name, store_now_ms(worker->store) + LEASE_MS, &cancel,
                         &err) == 0)
        return;
    log_warn(&worker->log, "%s", err.message);
    if (err.code != ERROR_CONFLICT)
        return;
    struct job job; /* it may have finished a moment ago: then its process is about to end */
    if (store_job_get(worker->store, slot->job, &job, NULL) < 0)
        return;
    slot->lost = job.state == JOB_RUNNING || job.state == JOB_QUEUED;
    if (slot->lost)
        signal_group(slot, SIGKILL);
    job_release(&job);
}

static void watch(struct worker *worker, struct slot *slot, int64_t now)
{
    int64_t limit_ms = slot->burials ? BURY_MS : worker->config.limits.job_timeout_ms;
    if (now >= slot->extend_ms)
        extend(worker, slot, now);
    if (now - slot->started_ms >= limit_ms)
        end_process(slot, CAUSE_LATE);
    if (worker->stop.asked > 1 || (worker->drain_ms && now >= worker->drain_ms && !slot->burials))
        end_process(slot, CAUSE_DRAINED);
    if (slot->kill_ms && now >= slot->kill_ms)
        signal_group(slot, SIGKILL);
}

static void attend(struct worker *worker, struct slot *slot)
{
    store_fence_claim(worker->store, slot->job, slot->fence); /* we may have stood still for longer than the lease */
    if (slot->pid && !reap(slot))
        watch(worker, slot, clock_monotonic_ms());
    if (!slot->pid && clock_monotonic_ms() >= slot->settle_ms)
        settle(worker, slot);
}

static bool is_idle(const struct worker *worker)
{
    for (size_t i = 0; i < worker->slot_count; i++)
        if (worker->slots[i].job)
            return false;
    return true;
}

static void cancel(struct worker *worker, int64_t job)
{
    for (size_t i = 0; i < worker->slot_count; i++)
        if (worker->slots[i].job == job && worker->slots[i].pid && !worker->slots[i].burials)
            end_process(&worker->slots[i], CAUSE_CANCELLED);
}

/* What a process leaves running when it has to be killed, a guest in the sandbox above all, dies with it: see
 * sandbox/runtime.h. */
static void look_for_cancels(struct worker *worker)
{
    struct error err = {0};
    size_t count = 0;
    int64_t now = clock_monotonic_ms();
    if (now < worker->look_ms || is_idle(worker))
        return;
    worker->look_ms = now + LOOK_MS;
    if (store_jobs_to_cancel(worker->store, worker->home.name, worker->cancelled, worker->slot_count, &count, &err) < 0)
        log_error(&worker->log, "%s", err.message);
    for (size_t i = 0; i < count; i++)
        cancel(worker, worker->cancelled[i]);
}

/* ---- claiming ---- */

static int claim(struct worker *worker, struct slot *slot, bool *found, struct error *err)
{
    struct job job;
    if (store_job_claim(worker->store, worker->home.name, store_now_ms(worker->store), LEASE_MS,
                        (int)worker->config.limits.jobs_per_repository, &job, found, err) < 0)
        return -1;
    if (!*found)
        return 0;
    *slot = (struct slot){
        .job = job.id, .attempt = job.attempt, .fence = job.fence, .extend_ms = clock_monotonic_ms() + EXTEND_MS};
    job_release(&job);
    return start(worker, slot, err);
}

static void claim_all(struct worker *worker)
{
    bool found = true;
    if (!worker->news && clock_monotonic_ms() < worker->claim_ms)
        return;
    worker->news = false;
    worker->claim_ms = clock_monotonic_ms() + CLAIM_MS;
    for (size_t i = 0; found && i < worker->slot_count; i++) {
        struct error err = {0};
        if (worker->slots[i].job)
            continue;
        if (claim(worker, &worker->slots[i], &found, &err) < 0) {
            log_error(&worker->log, "%s", err.message);
            return;
        }
    }
}

static void recover(struct worker *worker)
{
    struct error err = {0};
    size_t count = 0;
    int64_t now = clock_monotonic_ms();
    if (now < worker->recover_ms)
        return;
    worker->recover_ms = now + RECOVER_MS;
    if (store_jobs_recover(worker->store, store_now_ms(worker->store), &count, &err) < 0)
        log_error(&worker->log, "%s", err.message);
    else if (count > 0)
        log_warn(&worker->log, "%zu jobs of a dead worker are queued again", count);
}

static void loop(struct worker *worker)
{
    while (!worker->drain_ms || !is_idle(worker)) {
        look_for_cancels(worker);
        for (size_t i = 0; i < worker->slot_count; i++)
            if (worker->slots[i].job)
                attend(worker, &worker->slots[i]);
        if (!worker->drain_ms) {
            recover(worker);
            claim_all(worker);
            housekeeper_tick(&worker->keeper, worker->config_path, &worker->log);
        }
        if (store_wait(worker->store, STORE_NEWS_JOB, worker->stop.fd, TICK_MS)) {
            worker->news = true;
            worker->look_ms = 0;
        }
        if (stop_wait(&worker->stop, 0) && !worker->drain_ms) {
            worker->drain_ms = clock_monotonic_ms() + DRAIN_MS;
            log_info(&worker->log, "stopping: no new jobs");
        }
    }
}

/* ---- starting ---- */

/* Jobs that ran under our name when we died need not wait for their lease to pass. */
static int release_own(struct worker *worker, struct error *err)
{
    struct job_filter filter = {.state = JOB_RUNNING, .limit = 1000};
    struct job *jobs = NULL;
    size_t count = 0;
    int64_t now = store_now_ms(worker->store);
    if (store_jobs(worker->store, &filter, &jobs, &count, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct error other = {0};
        bool cancel;
        if (store_job_extend(worker->store, jobs[i].id, worker->home.name, now - 1, &cancel, &other) == 0)
            log_info(&worker->log, "job %lld was ours when the worker died", (long long)jobs[i].id);
    }
    jobs_free(jobs, count);
    return 0;
}

static void remove_dead_workspaces(struct worker *worker)
{
    AUTO_FREE char *work = source_work_dir(&worker->config);
    DIR *dir = work ? opendir(work) : NULL;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            remove_workspace(worker, entry->d_name);
    if (dir)
        closedir(dir);
}

static int worker_open(struct worker *worker, struct error *err)
{
    if (config_load(worker->config_path, 0, &worker->config, err) < 0 || stop_watch(&worker->stop, err) < 0 ||
        home_open(&worker->home, worker->config.state_dir, "worker", &worker->stop, &worker->log, err) < 0)
        return -1;
    worker->slot_count = (size_t)worker->config.workers;
    worker->slots = calloc(worker->slot_count, sizeof *worker->slots);
    worker->cancelled = calloc(worker->slot_count, sizeof *worker->cancelled);
    bool room = worker->slots && worker->cancelled;
    worker->store = room ? store_open(worker->config.database, err) : NULL;
    if (!worker->store)
        return room ? -1 : error_set(err, ERROR_INTERNAL, "start the worker: out of memory");
    remove_dead_workspaces(worker);
    return release_own(worker, err);
}

static void worker_close(struct worker *worker)
{
    if (worker->store)
        store_close(worker->store);
    free(worker->slots);
    free(worker->cancelled);
    stop_release(&worker->stop);
    housekeeper_end(&worker->keeper);
    home_close(&worker->home);
    config_release(&worker->config);
}

int cli_work(int argc, char **argv, struct error *err)
{
    struct worker worker = {.log = log_open("worker"), .stop = {.fd = -1}, .home = {.lock = -1}};
    if (cli_wants_help(argc, argv))
        return 0;
    if (cli_config_only(argc, argv, &worker.config_path, err) < 0)
        return -1;
    int status = worker_open(&worker, err);
    if (status == 0) {
        log_info(&worker.log, "ready: %s, %zu jobs at once", worker.home.name, worker.slot_count);
        loop(&worker);
        log_info(&worker.log, "stopped");
    }
    worker_close(&worker);
    return status;
}
