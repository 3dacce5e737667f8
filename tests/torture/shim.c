/* Stands before the C library's calls that write files, for those in one folder: counts them, lets
 * some of them fail, and records them in the order in which they took effect. For LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[4096];
static long calls, first, last;
static int error, recording = -1;

/* Watch the files in a folder from now on; record what is done to them to a descriptor, or -1. */
void shim_watch(const char *path, int descriptor) {
    snprintf(folder, sizeof folder, "%s", path);
    recording = descriptor;
}

/* Let calls fail from one to another, the next being number 1. */
void shim_fail(long from, long to, int number) {
    calls = 0, first = from, last = to, error = number;
}

long shim_calls(void) { return calls; }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_watched(const char *path) {
    size_t length = strlen(folder);
    return length && !strncmp(path, folder, length) && (!path[length] || path[length] == '/');
}

static int is_watched_descriptor(int descriptor, char *path) {
    char link[64];
    if (!*folder || descriptor == recording) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, 4095);
    path[length < 0 ? 0 : length] = 0;
    return is_watched(path);
}

static int fails(void) {
    calls++;
    if (calls < first || calls > last) return 0;
    errno = error;
    return 1;
}

static void record(char kind, const char *path, int64_t offset, const void *data, int64_t length) {
    if (recording < 0) return;
    int saved = errno;
    struct __attribute__((packed)) { char kind; uint16_t path; int64_t offset, data; } head;
    head.kind = kind, head.path = strlen(path), head.offset = offset, head.data = length;
    __typeof__(&write) put = REAL(write);
    if (put(recording, &head, sizeof head) < 0 || put(recording, path, head.path) < 0 ||
        (length && put(recording, data, length) < 0))
        perror("the shim cannot record");
    errno = saved;
}

#define AROUND(watched, result, call, recorded)                                                    \
    char path[4096];                                                                               \
    if (!(watched)) return call;                                                                   \
    pthread_mutex_lock(&lock);                                                                     \
    result = fails() ? -1 : call;                                                                  \
    if (done >= 0) recorded;                                                                       \
    pthread_mutex_unlock(&lock);                                                                   \
    return done

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    AROUND(is_watched_descriptor(fd, path), ssize_t done, REAL(pwrite)(fd, data, size, at),
           record('w', path, at, data, done));
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    AROUND(is_watched_descriptor(fd, path), ssize_t done, REAL(pwrite64)(fd, data, size, at),
           record('w', path, at, data, done));
}

ssize_t write(int fd, const void *data, size_t size) {
    AROUND(is_watched_descriptor(fd, path), ssize_t done, REAL(write)(fd, data, size),
           record('w', path, lseek(fd, 0, SEEK_CUR) - done, data, done));
}

int ftruncate(int fd, off_t size) {
    AROUND(is_watched_descriptor(fd, path), int done, REAL(ftruncate)(fd, size),
           record('t', path, size, NULL, 0));
}

int ftruncate64(int fd, off64_t size) {
    AROUND(is_watched_descriptor(fd, path), int done, REAL(ftruncate64)(fd, size),
           record('t', path, size, NULL, 0));
}

int fsync(int fd) {
    AROUND(is_watched_descriptor(fd, path), int done, REAL(fsync)(fd),
           record('s', path, 0, NULL, 0));
}

int fdatasync(int fd) {
    AROUND(is_watched_descriptor(fd, path), int done, REAL(fdatasync)(fd),
           record('s', path, 0, NULL, 0));
}

int unlink(const char *name) {
    AROUND(is_watched(strncpy(path, name, 4095)), int done, REAL(unlink)(name),
           record('u', name, 0, NULL, 0));
}
