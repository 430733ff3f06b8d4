/* Stands between SQLite and the kernel: fails, tears or delays chosen writes and fsyncs, or kills the process there.

   Loaded by LD_PRELOAD. The rule stands in a file that the process and the runner share (see shim.py, which knows the
   same layout), so that the runner can change it while the process runs. Only calls on the store's own files count. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum call { WRITE = 1, SYNC = 2 };
enum file { OTHER = 0, LOG = 1, MAIN = 2, ANY = 3 };
enum action { FAIL = 1, KILL_BEFORE = 2, KILL_AFTER = 3, TEAR = 4, DELAY = 5 };

struct rule {
    volatile int64_t armed, call, file, action, error, skip, times, run_of, delay_us, hits, offset_us;
};

static struct rule *rule;
static int64_t run; /* writes to the log since its last fsync: a model's checkpoint writes long runs, a lease short ones */

__attribute__((constructor)) static void open_rule(void) {
    const char *path = getenv("NBA_FAULTS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *at = mmap(NULL, sizeof(struct rule), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED) rule = at;
}

static int64_t file_of(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return OTHER;
    path[n] = 0;
    if (n >= 7 && !strcmp(path + n - 7, ".db-wal")) return LOG;
    return n >= 3 && !strcmp(path + n - 3, ".db") ? MAIN : OTHER;
}

/* The action for this call, 0 for none; counts down to it. */
static int64_t now(int64_t call, int64_t file) {
    if (file == LOG) run = call == WRITE ? run + 1 : run;
    int64_t length = run;
    if (file == LOG && call == SYNC) run = 0;
    if (!rule || !rule->armed || rule->call != call || !(rule->file & file) || length < rule->run_of) return 0;
    if (__atomic_sub_fetch(&rule->skip, 1, __ATOMIC_SEQ_CST) >= 0) return 0;
    if (rule->times > 0 && __atomic_sub_fetch(&rule->times, 1, __ATOMIC_SEQ_CST) == 0) rule->armed = 0;
    __atomic_add_fetch(&rule->hits, 1, __ATOMIC_SEQ_CST);
    if (rule->action == KILL_BEFORE) raise(SIGKILL);
    if (rule->action == DELAY) usleep(rule->delay_us);
    if (rule->action == FAIL) errno = (int)rule->error;
    return rule->action;
}

typedef ssize_t (*pwrite_t)(int, const void *, size_t, off64_t);

static ssize_t put(pwrite_t really, int fd, const void *from, size_t n, off64_t at) {
    int64_t file = file_of(fd), action = file ? now(WRITE, file) : 0;
    if (action == FAIL) return -1;
    ssize_t done = really(fd, from, action == TEAR ? n / 2 : n, at);
    if (action == TEAR || action == KILL_AFTER) raise(SIGKILL);
    return done;
}

ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) {
    static pwrite_t really;
    if (!really) really = (pwrite_t)dlsym(RTLD_NEXT, "pwrite64");
    return put(really, fd, from, n, at);
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at) {
    static pwrite_t really;
    if (!really) really = (pwrite_t)dlsym(RTLD_NEXT, "pwrite");
    return put(really, fd, from, n, at);
}

static int sync_by(int (*really)(int), int fd) {
    int64_t file = file_of(fd), action = file ? now(SYNC, file) : 0;
    if (action == FAIL) return -1;
    int done = really(fd);
    if (action == KILL_AFTER) raise(SIGKILL);
    return done;
}

int fsync(int fd) {
    static int (*really)(int);
    if (!really) really = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return sync_by(really, fd);
}

int fdatasync(int fd) {
    static int (*really)(int);
    if (!really) really = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return sync_by(really, fd);
}
