/* Loaded before a program (LD_PRELOAD), it writes down what the program does to the files below some folders, on a tape that
 * several processes and the test share. `tape.rs` reads it, and says what each record is.
 *
 * One lock gives all of it one order: it is held from before an operation until it is on the tape, also during a sync. What
 * changes files in a way that is not told here goes on the tape as unforeseen, and fails the test.
 *
 * POWER_TAPE is the tape, POWER_ROOTS the folders, with ':' between; without them nothing is written down.
 * POWER_BOOT_ID is a file that stands for the id of this boot of the machine.
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
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { OPENED = 1, WRITTEN, CUT, FILE_SYNCED, DIR_SYNCED, ALL_SYNCED, RENAMED, UNLINKED, DIR_MADE, DIR_REMOVED, UNFORESEEN };
enum { CREATED = 1, TRUNCATED = 2, ROOTS_MAX = 8 };

struct head {
    uint32_t kind, path_bytes;
    uint64_t inode, number, bytes;
};

static char roots[ROOTS_MAX][PATH_MAX];
static int roots_count, tape = -1;
static const char *boot_id;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void give_up(const char *why) {
    fprintf(stderr, "the recorder cannot go on: %s: %s\n", why, strerror(errno));
    abort();
}

__attribute__((constructor)) static void begin(void) {
    const char *to = getenv("POWER_TAPE"), *below = getenv("POWER_ROOTS");
    boot_id = getenv("POWER_BOOT_ID");
    if (!to || !below) return;
    tape = (int)syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (tape < 0) give_up(to);
    while (*below && roots_count < ROOTS_MAX) {
        size_t length = strcspn(below, ":");
        snprintf(roots[roots_count++], PATH_MAX, "%.*s", (int)length, below);
        below += length + (below[length] == ':');
    }
}

static int is_below(const char *path) {
    for (int i = 0; i < roots_count; i++) {
        size_t length = strlen(roots[i]);
        if (!strncmp(path, roots[i], length) && (path[length] == '/' || !path[length])) return 1;
    }
    return 0;
}

static int path_of(int fd, char *path) {
    char link[32];
    if (tape < 0 || fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

static int is_recorded(int fd) {
    char path[PATH_MAX];
    int error = errno, found = path_of(fd, path);
    errno = error;
    return found;
}

/* The whole path of a name; whether it is below one of the folders. */
static int whole(int dir, const char *name, char *path) {
    char from[PATH_MAX];
    if (tape < 0 || !name) return 0;
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
    } else {
        if (dir == AT_FDCWD) {
            if (!getcwd(from, sizeof from)) return 0;
        } else if (!path_of(dir, from)) {
            return 0;
        }
        if (snprintf(path, PATH_MAX, "%s/%s", from, name) >= PATH_MAX) return 0;
    }
    return is_below(path);
}

static uint64_t inode_of(int fd) {
    struct stat found;
    if (fstat(fd, &found)) give_up("fstat");
    return found.st_ino;
}

static void enter(void) {
    pthread_mutex_lock(&lock);
    while (syscall(SYS_flock, tape, LOCK_EX)) {
        if (errno != EINTR) give_up("flock");
    }
}

static void leave(void) {
    int error = errno;
    syscall(SYS_flock, tape, LOCK_UN);
    pthread_mutex_unlock(&lock);
    errno = error;
}

/* Within the lock. */
static void put(enum kind kind, uint64_t inode, uint64_t number, const char *path, const void *bytes, size_t length) {
    int error = errno;
    struct head head = {kind, path ? (uint32_t)strlen(path) : 0, inode, number, length};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)path, head.path_bytes}, {(void *)bytes, length}};
    if (syscall(SYS_writev, tape, parts, 3) != (ssize_t)(sizeof head + head.path_bytes + length)) give_up("the tape");
    errno = error;
}

static void unforeseen(const char *call) {
    enter();
    put(UNFORESEEN, 0, 0, call, NULL, 0);
    leave();
}

static int open_at(int dir, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    if (boot_id && name && !strcmp(name, "/proc/sys/kernel/random/boot_id")) name = boot_id;
    if (!(flags & (O_CREAT | O_TRUNC)) || !whole(dir, name, path)) return (int)syscall(SYS_openat, dir, name, flags, mode);
    if (flags & (O_SYNC | O_DSYNC) || (flags & O_TMPFILE) == O_TMPFILE) unforeseen("open");
    enter();
    struct stat found;
    int there = !lstat(path, &found);
    int fd = (int)syscall(SYS_openat, dir, name, flags, mode);
    int did = (there ? 0 : CREATED) | (flags & O_TRUNC ? TRUNCATED : 0);
    if (fd >= 0 && did) put(OPENED, inode_of(fd), did, path, NULL, 0);
    leave();
    return fd;
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

int creat(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* Parts, as they were written, up to a length. */
static void put_parts(int fd, uint64_t offset, const struct iovec *parts, int count, size_t written) {
    char *bytes = malloc(written ? written : 1), *at = bytes;
    if (!bytes) give_up("memory");
    for (int i = 0; i < count && written; i++) {
        size_t some = parts[i].iov_len < written ? parts[i].iov_len : written;
        memcpy(at, parts[i].iov_base, some);
        at += some;
        written -= some;
    }
    put(WRITTEN, inode_of(fd), offset, NULL, bytes, (size_t)(at - bytes));
    free(bytes);
}

static ssize_t write_parts(int fd, const struct iovec *parts, int count) {
    if (!is_recorded(fd)) return syscall(SYS_writev, fd, parts, count);
    enter();
    ssize_t written = syscall(SYS_writev, fd, parts, count);
    /* Also where it appends, the place is behind what was written. */
    if (written > 0) put_parts(fd, (uint64_t)(lseek(fd, 0, SEEK_CUR) - written), parts, count, (size_t)written);
    leave();
    return written;
}

static ssize_t write_parts_at(int fd, const struct iovec *parts, int count, off_t offset) {
    if (!is_recorded(fd)) return syscall(SYS_pwritev, fd, parts, count, (unsigned long)offset, 0UL);
    enter();
    ssize_t written = syscall(SYS_pwritev, fd, parts, count, (unsigned long)offset, 0UL);
    if (written > 0) put_parts(fd, (uint64_t)offset, parts, count, (size_t)written);
    leave();
    return written;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct iovec part = {(void *)bytes, length};
    if (!is_recorded(fd)) return syscall(SYS_write, fd, bytes, length);
    return write_parts(fd, &part, 1);
}
ssize_t writev(int fd, const struct iovec *parts, int count) { return write_parts(fd, parts, count); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    struct iovec part = {(void *)bytes, length};
    return write_parts_at(fd, &part, 1, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) { return pwrite(fd, bytes, length, offset); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return write_parts_at(fd, parts, count, offset); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) { return write_parts_at(fd, parts, count, offset); }

int ftruncate(int fd, off_t length) {
    if (!is_recorded(fd)) return (int)syscall(SYS_ftruncate, fd, length);
    enter();
    int done = (int)syscall(SYS_ftruncate, fd, length);
    if (!done) put(CUT, inode_of(fd), (uint64_t)length, NULL, NULL, 0);
    leave();
    return done;
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

static int synced(int fd, long call) {
    char path[PATH_MAX];
    struct stat found;
    int recorded = path_of(fd, path);
    if (!recorded) return (int)syscall(call, fd);
    enter();
    int done = (int)syscall(call, fd);
    if (!done && !fstat(fd, &found)) {
        int dir = S_ISDIR(found.st_mode);
        enum kind kind = call == SYS_syncfs ? ALL_SYNCED : dir ? DIR_SYNCED : FILE_SYNCED;
        put(kind, found.st_ino, 0, kind == FILE_SYNCED ? NULL : path, NULL, 0);
    }
    leave();
    return done;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }
int syncfs(int fd) { return synced(fd, SYS_syncfs); }
/* It promises nothing about the device's own cache: here it keeps nothing. */
int sync_file_range(int fd, off64_t from, off64_t length, unsigned flags) {
    return (int)syscall(SYS_sync_file_range, fd, from, length, flags);
}

static int renamed(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    char old[PATH_MAX], new[PATH_MAX];
    int leaves = whole(from_dir, from, old), comes = whole(to_dir, to, new);
    if (leaves != comes || flags) unforeseen("rename");
    if (!leaves) return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    enter();
    int done = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (!done) put(RENAMED, 0, 0, old, new, strlen(new));
    leave();
    return done;
}
int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_dir, const char *from, int to_dir, const char *to) { return renamed(from_dir, from, to_dir, to, 0); }
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    return renamed(from_dir, from, to_dir, to, flags);
}

/* A call about one name. */
static int named(enum kind kind, int dir, const char *name, long call, unsigned long last) {
    char path[PATH_MAX];
    if (!whole(dir, name, path)) return (int)syscall(call, dir, name, last);
    enter();
    int done = (int)syscall(call, dir, name, last);
    if (!done) put(kind, 0, 0, path, NULL, 0);
    leave();
    return done;
}
int unlinkat(int dir, const char *name, int flags) {
    return named(flags & AT_REMOVEDIR ? DIR_REMOVED : UNLINKED, dir, name, SYS_unlinkat, (unsigned long)flags);
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
int mkdirat(int dir, const char *name, mode_t mode) { return named(DIR_MADE, dir, name, SYS_mkdirat, mode); }
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

/* What is told of nobody here, and would be lost in silence. */
static void refuse(int fd, const char *call) {
    if (is_recorded(fd)) unforeseen(call);
}
static void refuse_name(int dir, const char *name, const char *call) {
    char path[PATH_MAX];
    if (whole(dir, name, path)) unforeseen(call);
}
int fallocate(int fd, int mode, off_t from, off_t length) {
    refuse(fd, "fallocate");
    return (int)syscall(SYS_fallocate, fd, mode, from, length);
}
int fallocate64(int fd, int mode, off64_t from, off64_t length) { return fallocate(fd, mode, from, length); }
int posix_fallocate(int fd, off_t from, off_t length) { return fallocate(fd, 0, from, length) ? errno : 0; }
int posix_fallocate64(int fd, off64_t from, off64_t length) { return posix_fallocate(fd, from, length); }
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    refuse_name(to_dir, to, "link");
    return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }
int symlinkat(const char *target, int dir, const char *name) {
    refuse_name(dir, name, "symlink");
    return (int)syscall(SYS_symlinkat, target, dir, name);
}
int symlink(const char *target, const char *name) { return symlinkat(target, AT_FDCWD, name); }
int truncate(const char *name, off_t length) {
    refuse_name(AT_FDCWD, name, "truncate");
    return (int)syscall(SYS_truncate, name, length);
}
int truncate64(const char *name, off64_t length) { return truncate(name, length); }
ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t length, unsigned flags) {
    refuse(to, "copy_file_range");
    return syscall(SYS_copy_file_range, from, from_at, to, to_at, length, flags);
}
ssize_t sendfile(int to, int from, off_t *at, size_t length) {
    refuse(to, "sendfile");
    return syscall(SYS_sendfile, to, from, at, length);
}
ssize_t sendfile64(int to, int from, off64_t *at, size_t length) { return sendfile(to, from, at, length); }
ssize_t splice(int from, off64_t *from_at, int to, off64_t *to_at, size_t length, unsigned flags) {
    refuse(to, "splice");
    return syscall(SYS_splice, from, from_at, to, to_at, length, flags);
}
void *mmap(void *at, size_t length, int may, int flags, int fd, off_t offset) {
    if (fd >= 0 && (flags & MAP_SHARED) && (may & PROT_WRITE)) refuse(fd, "mmap");
    return (void *)syscall(SYS_mmap, at, length, may, flags, fd, offset);
}
void *mmap64(void *at, size_t length, int may, int flags, int fd, off64_t offset) { return mmap(at, length, may, flags, fd, offset); }
