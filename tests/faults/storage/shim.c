/* Loaded before libc: counts the calls of a process by which files below one directory change, or are looked at, and by which
 * the database is asked, and lets one of them go wrong. Driven by shim.py. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

/* What is counted, and what becomes of the call with the number `at`: as in shim.py. */
enum { CHANGE = 1, SOCKET = 2, LOOK = 4 };
enum { NOTHING, KILL, FAIL, LOSE, STOP };

static char root[PATH_MAX];
static size_t root_length;
static int counted, outcome, number, for_good, no_exchange, reply_is_lost;
static int log_descriptor = -1;
static long at, calls;

EXPORT void shim_arm(const char *directory, int what, long when, int how, int error, int stays, int log)
{
    root_length = strlen(strcpy(root, directory));
    at = when, outcome = how, number = error, for_good = stays, log_descriptor = log;
    calls = 0;
    counted = what;
}

EXPORT long shim_disarm(void)
{
    counted = 0;
    return calls;
}

/* As NFS, which cannot exchange two names. */
EXPORT void shim_forbid_exchange(void) { no_exchange = 1; }

static void note(int kind, const char *operation, const char *path, const char *other)
{
    if (log_descriptor >= 0) {
        char line[2 * PATH_MAX + 64];
        int length = snprintf(line, sizeof line, "%d\t%s\t%s\t%s\n", kind, operation, path, other);
        syscall(SYS_write, log_descriptor, line, (size_t)length);
    }
}

/* Whether the call is not to be made; then errno says why. */
static int goes_wrong(int kind, const char *operation, const char *path, const char *other)
{
    if (!(counted & kind))
        return 0;
    calls++;
    note(kind, operation, path, other);
    if (calls != at && !(for_good && calls > at))
        return 0;
    if (outcome == KILL)
        raise(SIGKILL);
    if (outcome == STOP)
        raise(SIGSTOP);
    if (outcome == LOSE)
        reply_is_lost = 1;
    if (outcome == FAIL)
        errno = number;
    return outcome == FAIL;
}

/* Whether it is below the root; `path` becomes absolute. */
static int resolve(int directory, const char *given, char *path)
{
    if (!counted || !given)
        return 0;
    if (given[0] == '/') {
        snprintf(path, PATH_MAX, "%s", given);
    } else {
        char link[64];
        if (directory == AT_FDCWD)
            return 0;
        snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
        ssize_t length = readlink(link, path, PATH_MAX - 1);
        if (length < 0)
            return 0;
        path[length] = 0;
        if (strcmp(given, "."))
            snprintf(path + length, PATH_MAX - (size_t)length, "/%s", given);
    }
    return !strncmp(path, root, root_length);
}

static int descriptor_goes_wrong(int kind, const char *operation, int descriptor)
{
    char path[PATH_MAX];
    struct stat found;
    int before = errno;
    if (!counted || syscall(SYS_fstat, descriptor, &found) || S_ISFIFO(found.st_mode))
        return errno = before, 0;
    if (S_ISSOCK(found.st_mode)) {
        struct sockaddr_un peer;
        socklen_t length = sizeof peer;
        /* What asyncio wakes itself with has no name. */
        int is_named = !getpeername(descriptor, (struct sockaddr *)&peer, &length) && length > sizeof(sa_family_t);
        errno = before;
        return kind == CHANGE && is_named && goes_wrong(SOCKET, operation, "", "");
    }
    int is_ours = resolve(descriptor, ".", path);
    errno = before;
    return is_ours && goes_wrong(kind, operation, path, "");
}

static int path_goes_wrong(int kind, const char *operation, int directory, const char *given)
{
    char path[PATH_MAX];
    int before = errno, is_ours = resolve(directory, given, path);
    errno = before;
    return is_ours && goes_wrong(kind, operation, path, "");
}

static int two_paths_go_wrong(const char *operation, int one, const char *from, int other, const char *to)
{
    char source[PATH_MAX], target[PATH_MAX] = "";
    int before = errno, are_ours = resolve(one, from, source) | resolve(other, to, target);
    errno = before;
    return are_ours && goes_wrong(CHANGE, operation, source, target);
}

static int kind_of_open(int flags) { return flags & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR) ? CHANGE : LOOK; }

#define MODE(flags, mode)                                                                                                          \
    mode_t mode = 0;                                                                                                               \
    if (flags & (O_CREAT | __O_TMPFILE)) {                                                                                         \
        va_list more;                                                                                                              \
        va_start(more, flags);                                                                                                     \
        mode = va_arg(more, mode_t);                                                                                               \
        va_end(more);                                                                                                              \
    }

#define OPEN(name)                                                                                                                 \
    EXPORT int name(const char *path, int flags, ...)                                                                              \
    {                                                                                                                              \
        MODE(flags, mode)                                                                                                          \
        if (path_goes_wrong(kind_of_open(flags), flags & O_CREAT ? "create" : "open", AT_FDCWD, path))                             \
            return -1;                                                                                                             \
        return REAL(int, #name, const char *, int, ...)(path, flags, mode);                                                        \
    }
#define OPENAT(name)                                                                                                               \
    EXPORT int name(int directory, const char *path, int flags, ...)                                                               \
    {                                                                                                                              \
        MODE(flags, mode)                                                                                                          \
        if (path_goes_wrong(kind_of_open(flags), flags & O_CREAT ? "create" : "open", directory, path))                            \
            return -1;                                                                                                             \
        return REAL(int, #name, int, const char *, int, ...)(directory, path, flags, mode);                                        \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* One path, alone or within a directory. */
#define ON_PATH(kind, name, operation, parameters, types, ...)                                                                     \
    EXPORT int name parameters                                                                                                     \
    {                                                                                                                              \
        if (path_goes_wrong(kind, operation, AT_FDCWD, path))                                                                      \
            return -1;                                                                                                             \
        return REAL(int, #name, types)(__VA_ARGS__);                                                                               \
    }
#define WITHIN(kind, name, operation, parameters, types, ...)                                                                      \
    EXPORT int name parameters                                                                                                     \
    {                                                                                                                              \
        if (path_goes_wrong(kind, operation, directory, path))                                                                     \
            return -1;                                                                                                             \
        return REAL(int, #name, types)(__VA_ARGS__);                                                                               \
    }
#define TYPES(...) __VA_ARGS__
ON_PATH(CHANGE, mkdir, "mkdir", (const char *path, mode_t mode), TYPES(const char *, mode_t), path, mode)
ON_PATH(CHANGE, unlink, "unlink", (const char *path), TYPES(const char *), path)
ON_PATH(CHANGE, rmdir, "rmdir", (const char *path), TYPES(const char *), path)
ON_PATH(CHANGE, chmod, "chmod", (const char *path, mode_t mode), TYPES(const char *, mode_t), path, mode)
ON_PATH(LOOK, stat, "stat", (const char *path, struct stat *found), TYPES(const char *, struct stat *), path, found)
ON_PATH(LOOK, stat64, "stat", (const char *path, struct stat64 *found), TYPES(const char *, struct stat64 *), path, found)
ON_PATH(LOOK, lstat, "stat", (const char *path, struct stat *found), TYPES(const char *, struct stat *), path, found)
ON_PATH(LOOK, lstat64, "stat", (const char *path, struct stat64 *found), TYPES(const char *, struct stat64 *), path, found)
WITHIN(CHANGE, mkdirat, "mkdir", (int directory, const char *path, mode_t mode), TYPES(int, const char *, mode_t), directory, path,
       mode)
WITHIN(CHANGE, unlinkat, "unlink", (int directory, const char *path, int flags), TYPES(int, const char *, int), directory, path, flags)
WITHIN(CHANGE, fchmodat, "chmod", (int directory, const char *path, mode_t mode, int flags), TYPES(int, const char *, mode_t, int),
       directory, path, mode, flags)
WITHIN(LOOK, fstatat, "stat", (int directory, const char *path, struct stat *found, int flags),
       TYPES(int, const char *, struct stat *, int), directory, path, found, flags)
WITHIN(LOOK, fstatat64, "stat", (int directory, const char *path, struct stat64 *found, int flags),
       TYPES(int, const char *, struct stat64 *, int), directory, path, found, flags)

/* Two paths. */
EXPORT int rename(const char *from, const char *to)
{
    if (two_paths_go_wrong("rename", AT_FDCWD, from, AT_FDCWD, to))
        return -1;
    return REAL(int, "rename", const char *, const char *)(from, to);
}
EXPORT int renameat(int one, const char *from, int other, const char *to)
{
    if (two_paths_go_wrong("rename", one, from, other, to))
        return -1;
    return REAL(int, "renameat", int, const char *, int, const char *)(one, from, other, to);
}
EXPORT int renameat2(int one, const char *from, int other, const char *to, unsigned flags)
{
    if (no_exchange)
        return errno = EINVAL, -1;
    if (two_paths_go_wrong("exchange", one, from, other, to))
        return -1;
    return REAL(int, "renameat2", int, const char *, int, const char *, unsigned)(one, from, other, to, flags);
}
EXPORT int link(const char *from, const char *to)
{
    if (two_paths_go_wrong("link", AT_FDCWD, from, AT_FDCWD, to))
        return -1;
    return REAL(int, "link", const char *, const char *)(from, to);
}
EXPORT int linkat(int one, const char *from, int other, const char *to, int flags)
{
    if (two_paths_go_wrong("link", one, from, other, to))
        return -1;
    return REAL(int, "linkat", int, const char *, int, const char *, int)(one, from, other, to, flags);
}

/* An open file, or the connection to the database. */
#define ON_DESCRIPTOR(type, kind, name, operation, parameters, types, ...)                                                         \
    EXPORT type name parameters                                                                                                    \
    {                                                                                                                              \
        if (descriptor_goes_wrong(kind, operation, descriptor))                                                                    \
            return -1;                                                                                                             \
        return REAL(type, #name, types)(__VA_ARGS__);                                                                              \
    }
ON_DESCRIPTOR(int, CHANGE, fsync, "fsync", (int descriptor), TYPES(int), descriptor)
ON_DESCRIPTOR(int, CHANGE, fdatasync, "fsync", (int descriptor), TYPES(int), descriptor)
ON_DESCRIPTOR(int, CHANGE, fchmod, "chmod", (int descriptor, mode_t mode), TYPES(int, mode_t), descriptor, mode)
ON_DESCRIPTOR(int, CHANGE, ftruncate, "write", (int descriptor, off_t length), TYPES(int, off_t), descriptor, length)
ON_DESCRIPTOR(int, CHANGE, ftruncate64, "write", (int descriptor, off64_t length), TYPES(int, off64_t), descriptor, length)
ON_DESCRIPTOR(int, LOOK, fstat, "stat", (int descriptor, struct stat *found), TYPES(int, struct stat *), descriptor, found)
ON_DESCRIPTOR(int, LOOK, fstat64, "stat", (int descriptor, struct stat64 *found), TYPES(int, struct stat64 *), descriptor, found)
ON_DESCRIPTOR(ssize_t, LOOK, read, "read", (int descriptor, void *to, size_t length), TYPES(int, void *, size_t), descriptor, to, length)
ON_DESCRIPTOR(ssize_t, CHANGE, write, "write", (int descriptor, const void *from, size_t length), TYPES(int, const void *, size_t),
              descriptor, from, length)
ON_DESCRIPTOR(ssize_t, CHANGE, pwrite, "write", (int descriptor, const void *from, size_t length, off_t where),
              TYPES(int, const void *, size_t, off_t), descriptor, from, length, where)
ON_DESCRIPTOR(ssize_t, CHANGE, pwrite64, "write", (int descriptor, const void *from, size_t length, off64_t where),
              TYPES(int, const void *, size_t, off64_t), descriptor, from, length, where)
ON_DESCRIPTOR(ssize_t, CHANGE, writev, "write", (int descriptor, const struct iovec *from, int count),
              TYPES(int, const struct iovec *, int), descriptor, from, count)
ON_DESCRIPTOR(ssize_t, CHANGE, sendto,  "send",
              (int descriptor, const void *from, size_t length, int flags, const struct sockaddr *to, socklen_t size),
              TYPES(int, const void *, size_t, int, const struct sockaddr *, socklen_t), descriptor, from, length, flags, to, size)
ON_DESCRIPTOR(ssize_t, CHANGE, sendmsg, "send", (int descriptor, const struct msghdr *message, int flags),
              TYPES(int, const struct msghdr *, int), descriptor, message, flags)

EXPORT ssize_t send(int descriptor, const void *from, size_t length, int flags)
{
    int is_commit = memmem(from, length, "COMMIT;", 7) != NULL;
    if (descriptor_goes_wrong(CHANGE, is_commit ? "commit" : "send", descriptor))
        return -1;
    return REAL(ssize_t, "send", int, const void *, size_t, int)(descriptor, from, length, flags);
}

EXPORT ssize_t recv(int descriptor, void *to, size_t length, int flags)
{
    ssize_t received = REAL(ssize_t, "recv", int, void *, size_t, int)(descriptor, to, length, flags);
    if (reply_is_lost && received > 0) {
        reply_is_lost = 0;
        return errno = ECONNRESET, -1;
    }
    return received;
}
