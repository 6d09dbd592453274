/* Loaded before a program (LD_PRELOAD), it lets that program's disk fail as a test orders, while the program runs: calls about
 * what is below one folder return an error instead of doing what they were asked for. `failing_disk.rs` gives the orders.
 *
 * FAILING_ROOT is the folder, FAILING_ORDERS the file that is shared with the test.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE = 1, SYNC = 2, READ = 4, NAME = 8 };

/* What the test writes, and what it reads of it: numbers of 32 bits, then names. */
struct orders {
    /* Kinds of calls that fail; none while nothing is ordered. */
    volatile uint32_t kinds;
    /* Calls of those that go well before. */
    volatile uint32_t after;
    volatile uint32_t error;
    /* Whether all fail from then on, or one. */
    volatile uint32_t lasting;
    /* How many have failed. */
    volatile uint32_t failed;
    /* A part of the paths that it is about, and of the first that failed. */
    char part[108], where[128];
};

static struct orders *orders;
static const char *root;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *shared = getenv("FAILING_ORDERS");
    root = getenv("FAILING_ROOT");
    if (!shared || !root) return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, shared, O_RDWR | O_CLOEXEC);
    void *at = mmap(NULL, sizeof *orders, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || at == MAP_FAILED) {
        fprintf(stderr, "no orders for the disk: %s\n", strerror(errno));
        abort();
    }
    syscall(SYS_close, fd);
    orders = at;
}

/* Whether this call has to fail; then errno says why. */
static int fails(enum kind kind, const char *path) {
    size_t length = strlen(root);
    if (strncmp(path, root, length) || (path[length] && path[length] != '/')) return 0;
    if (!strstr(path + length, orders->part)) return 0;
    pthread_mutex_lock(&lock);
    int strikes = orders->kinds & kind && !orders->after;
    if (orders->kinds & kind && orders->after) orders->after--;
    if (strikes) {
        if (!orders->failed++) snprintf(orders->where, sizeof orders->where, "%s", path + length);
        if (!orders->lasting) orders->kinds = 0;
        errno = (int)orders->error;
    }
    pthread_mutex_unlock(&lock);
    return strikes;
}

static int file_fails(enum kind kind, int fd) {
    char link[32], path[PATH_MAX];
    int error = errno;
    if (!orders || !orders->kinds || fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    errno = error;
    if (length < 0) return 0;
    path[length] = 0;
    return fails(kind, path);
}

static int name_fails(enum kind kind, int dir, const char *name) {
    char from[PATH_MAX], path[PATH_MAX];
    if (!orders || !orders->kinds || !name) return 0;
    if (name[0] == '/') return fails(kind, name);
    if (dir == AT_FDCWD) {
        if (!getcwd(from, sizeof from)) return 0;
    } else {
        char link[32];
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, from, sizeof from - 1);
        if (length < 0) return 0;
        from[length] = 0;
    }
    if (snprintf(path, sizeof path, "%s/%s", from, name) >= PATH_MAX) return 0;
    return fails(kind, path);
}

static int is_missing(int dir, const char *name) {
    struct stat found;
    int error = errno, missing = fstatat(dir, name, &found, AT_SYMLINK_NOFOLLOW) != 0;
    errno = error;
    return missing;
}

static int open_at(int dir, const char *name, int flags, mode_t mode) {
    /* A new name needs room and a disk that takes changes; an old file opened to be written needs the latter. */
    int changes = (flags & O_CREAT && is_missing(dir, name)) || flags & O_TRUNC;
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (changes && name_fails(NAME, dir, name)) return -1;
    if (!changes && writes && orders && orders->error == EROFS && name_fails(NAME, dir, name)) return -1;
    return (int)syscall(SYS_openat, dir, name, flags, mode);
}

static mode_t mode_in(int flags, va_list rest) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; }

#define OPEN(name)                                            \
    int name(const char *path, int flags, ...) {              \
        va_list rest;                                         \
        va_start(rest, flags);                                \
        mode_t mode = mode_in(flags, rest);                   \
        va_end(rest);                                         \
        return open_at(AT_FDCWD, path, flags, mode);          \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                          \
    int name(int dir, const char *path, int flags, ...) {     \
        va_list rest;                                         \
        va_start(rest, flags);                                \
        mode_t mode = mode_in(flags, rest);                   \
        va_end(rest);                                         \
        return open_at(dir, path, flags, mode);               \
    }
OPENAT(openat)
OPENAT(openat64)

/* Of a write that fails a part has been written; of one to a place, some whole sectors. */
static size_t sectors(size_t length, off_t offset) {
    off_t end = (offset + (off_t)length / 2) & ~(off_t)511;
    return end > offset ? (size_t)(end - offset) : 0;
}
ssize_t write(int fd, const void *bytes, size_t length) {
    if (!file_fails(WRITE, fd)) return syscall(SYS_write, fd, bytes, length);
    int error = errno;
    syscall(SYS_write, fd, bytes, length / 2);
    errno = error;
    return -1;
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    if (!file_fails(WRITE, fd)) return syscall(SYS_pwrite64, fd, bytes, length, offset);
    int error = errno;
    syscall(SYS_pwrite64, fd, bytes, sectors(length, offset), offset);
    errno = error;
    return -1;
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) { return pwrite(fd, bytes, length, offset); }
ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!file_fails(WRITE, fd)) return syscall(SYS_writev, fd, parts, count);
    int error = errno;
    if (count > 1) syscall(SYS_writev, fd, parts, count / 2);
    errno = error;
    return -1;
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    if (!file_fails(WRITE, fd)) return syscall(SYS_pwritev, fd, parts, count, (unsigned long)offset, 0UL);
    int error = errno;
    if (count) syscall(SYS_pwrite64, fd, parts[0].iov_base, sectors(parts[0].iov_len, offset), offset);
    errno = error;
    return -1;
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) { return pwritev(fd, parts, count, offset); }
int ftruncate(int fd, off_t length) { return file_fails(WRITE, fd) ? -1 : (int)syscall(SYS_ftruncate, fd, length); }
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }
int fallocate(int fd, int mode, off_t from, off_t length) {
    return file_fails(WRITE, fd) ? -1 : (int)syscall(SYS_fallocate, fd, mode, from, length);
}
int fallocate64(int fd, int mode, off64_t from, off64_t length) { return fallocate(fd, mode, from, length); }

int fsync(int fd) { return file_fails(SYNC, fd) ? -1 : (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return file_fails(SYNC, fd) ? -1 : (int)syscall(SYS_fdatasync, fd); }
int syncfs(int fd) { return file_fails(SYNC, fd) ? -1 : (int)syscall(SYS_syncfs, fd); }
int sync_file_range(int fd, off64_t from, off64_t length, unsigned flags) {
    return file_fails(SYNC, fd) ? -1 : (int)syscall(SYS_sync_file_range, fd, from, length, flags);
}

ssize_t read(int fd, void *bytes, size_t length) { return file_fails(READ, fd) ? -1 : syscall(SYS_read, fd, bytes, length); }
ssize_t pread(int fd, void *bytes, size_t length, off_t offset) {
    return file_fails(READ, fd) ? -1 : syscall(SYS_pread64, fd, bytes, length, offset);
}
ssize_t pread64(int fd, void *bytes, size_t length, off64_t offset) { return pread(fd, bytes, length, offset); }
ssize_t readv(int fd, const struct iovec *parts, int count) {
    return file_fails(READ, fd) ? -1 : syscall(SYS_readv, fd, parts, count);
}
ssize_t preadv(int fd, const struct iovec *parts, int count, off_t offset) {
    return file_fails(READ, fd) ? -1 : syscall(SYS_preadv, fd, parts, count, (unsigned long)offset, 0UL);
}
ssize_t preadv64(int fd, const struct iovec *parts, int count, off64_t offset) { return preadv(fd, parts, count, offset); }

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    return name_fails(NAME, to_dir, to) ? -1 : (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }
int unlinkat(int dir, const char *name, int flags) {
    return name_fails(NAME, dir, name) ? -1 : (int)syscall(SYS_unlinkat, dir, name, flags);
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
int mkdirat(int dir, const char *name, mode_t mode) {
    return name_fails(NAME, dir, name) ? -1 : (int)syscall(SYS_mkdirat, dir, name, mode);
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }
