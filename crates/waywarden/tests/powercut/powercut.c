/* A layer under the files of a process that knows what a power cut would leave.
 *
 * Loaded before libc, it lets every call through and keeps, in a second folder, the image of what
 * is durable below a first one: a file's bytes reach the image when that file is synced, a name
 * (made, renamed, removed) when its directory is. That is the letter of POSIX and harsher than
 * common file systems. The test kills the process and goes on with the image.
 *
 *   POWERCUT_LIVE   the folder that is watched (absolute)
 *   POWERCUT_IMAGE  its image: dirs/INODE/ holds the names of a folder, its files as hard links to
 *                   blobs/INODE, its folders as symbolic links that name an inode of dirs/
 *   POWERCUT_LIE    set: syncs say yes and do nothing, to show that the layer bites
 *
 * SQLite's shared memory (-shm) is made anew after a crash and left out.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* The function that is shadowed. */
#define REAL(name) (look_up((void **)&real_##name, #name), real_##name)

static void look_up(void **at, const char *name)
{
    if (!*at)
        *at = dlsym(RTLD_NEXT, name);
}

static char live[PATH_MAX], image[PATH_MAX];
static int lie, on;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct range {
    off_t from, to;
};

/* A file below the live folder, by inode, with what was written and not synced. */
struct file {
    ino_t ino;
    struct range *dirty;
    size_t count, room;
    struct file *next;
};

#define SLOTS 4096
static struct file *files[SLOTS];

__attribute__((constructor)) static void begin(void)
{
    const char *l = getenv("POWERCUT_LIVE"), *i = getenv("POWERCUT_IMAGE");
    if (!l || !i || strlen(l) >= PATH_MAX - 300 || strlen(i) >= PATH_MAX - 300)
        return;
    strcpy(live, l);
    strcpy(image, i);
    lie = getenv("POWERCUT_LIE") != NULL;
    on = 1;
}

static void fatal(const char *what)
{
    dprintf(2, "powercut: %s: %s\n", what, strerror(errno));
    _exit(97);
}

/* Path of an open file below the live folder, without it ("" for the folder itself). */
static int below(int fd, char *out)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return 0;
    path[n] = 0;
    size_t len = strlen(live);
    if (strncmp(path, live, len) || (path[len] && path[len] != '/'))
        return 0;
    strcpy(out, path + len + (path[len] == '/'));
    return 1;
}

static struct file *find(ino_t ino, int make)
{
    struct file **slot = &files[ino % SLOTS];
    for (struct file *f = *slot; f; f = f->next)
        if (f->ino == ino)
            return f;
    if (!make)
        return NULL;
    struct file *f = calloc(1, sizeof *f);
    if (!f)
        fatal("memory");
    f->ino = ino;
    f->next = *slot;
    return *slot = f;
}

static void forget(ino_t ino)
{
    for (struct file **at = &files[ino % SLOTS]; *at; at = &(*at)->next)
        if ((*at)->ino == ino) {
            struct file *f = *at;
            *at = f->next;
            free(f->dirty);
            free(f);
            return;
        }
}

/* A file that was opened: from here on its writes are watched. */
static int opened(int fd)
{
    struct stat st;
    char path[PATH_MAX];
    int before = errno;
    if (on && fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && below(fd, path)) {
        size_t n = strlen(path);
        if (n < 4 || strcmp(path + n - 4, "-shm")) {
            pthread_mutex_lock(&lock);
            find(st.st_ino, 1);
            pthread_mutex_unlock(&lock);
        }
    }
    errno = before;
    return fd;
}

/* Behind every end: a file that was cut may have holes up to its next size. */
#define REST ((off_t)1 << 40)

/* Bytes that were written, or from where on a file was cut. */
static void touched(int fd, off_t from, off_t to)
{
    struct stat st;
    int before = errno;
    if (on && to >= from && !fstat(fd, &st) && S_ISREG(st.st_mode)) {
        pthread_mutex_lock(&lock);
        struct file *f = find(st.st_ino, 0);
        if (f) {
            struct range *last = f->count ? &f->dirty[f->count - 1] : NULL;
            if (last && from <= last->to && to >= last->from) {
                last->from = from < last->from ? from : last->from;
                last->to = to > last->to ? to : last->to;
            } else {
                if (f->count == f->room) {
                    f->room = f->room ? 2 * f->room : 64;
                    f->dirty = realloc(f->dirty, f->room * sizeof *f->dirty);
                    if (!f->dirty)
                        fatal("memory");
                }
                f->dirty[f->count++] = (struct range){from, to};
            }
        }
        pthread_mutex_unlock(&lock);
    }
    errno = before;
}

static int (*real_open)(const char *, int, ...);
static int (*real_unlink)(const char *);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);

static int blob(ino_t ino)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.3000s/blobs/%lu", image, (unsigned long)ino);
    int fd = REAL(open)(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        fatal(path);
    return fd;
}

/* What is written of the file becomes durable. */
static void keep_file(int fd, const struct stat *st)
{
    struct file *f = find(st->st_ino, 0);
    if (!f)
        return;
    static char buffer[1 << 16];
    int to = blob(st->st_ino);
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int from = REAL(open)(link, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        fatal("read again");
    for (size_t i = 0; i < f->count; i++) {
        off_t at = f->dirty[i].from, end = f->dirty[i].to;
        while (at < end) {
            size_t want = end - at < (off_t)sizeof buffer ? (size_t)(end - at) : sizeof buffer;
            ssize_t got = pread(from, buffer, want, at);
            if (got <= 0)
                break;
            if (REAL(pwrite)(to, buffer, got, at) != got)
                fatal("image");
            at += got;
        }
    }
    f->count = 0;
    if (REAL(ftruncate)(to, st->st_size))
        fatal("image");
    close(from);
    close(to);
}

static int is_dots(const char *name)
{
    return !strcmp(name, ".") || !strcmp(name, "..");
}

/* One name of a folder's image. */
static void keep_name(const char *path, const struct stat *st)
{
    char of[PATH_MAX];
    struct stat had, is;
    int there = !lstat(path, &had);
    if (S_ISDIR(st->st_mode)) {
        snprintf(of, sizeof of, "%.3000s/dirs/%lu", image, (unsigned long)st->st_ino);
        if (mkdir(of, 0700) && errno != EEXIST)
            fatal(of);
        if (there)
            REAL(unlink)(path);
        snprintf(of, sizeof of, "%lu", (unsigned long)st->st_ino);
        if (symlink(of, path))
            fatal(path);
        return;
    }
    close(blob(st->st_ino));
    snprintf(of, sizeof of, "%.3000s/blobs/%lu", image, (unsigned long)st->st_ino);
    if (lstat(of, &is))
        fatal(of);
    if (there && had.st_ino == is.st_ino)
        return;
    if (there)
        REAL(unlink)(path);
    if (link(of, path))
        fatal(path);
}

/* The names in the folder, as they are now, become durable. */
static void keep_names(int fd, ino_t ino)
{
    char names[PATH_MAX], path[PATH_MAX + 300];
    struct stat st;
    struct dirent *e;
    snprintf(names, sizeof names, "%.3000s/dirs/%lu", image, (unsigned long)ino);
    if (mkdir(names, 0700) && errno != EEXIST)
        fatal(names);
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (!dir)
        fatal("folder");
    while ((e = readdir(dir))) {
        size_t n = strlen(e->d_name);
        int shm = n > 4 && !strcmp(e->d_name + n - 4, "-shm");
        if (is_dots(e->d_name) || shm || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
            continue;
        snprintf(path, sizeof path, "%s/%s", names, e->d_name);
        if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))
            keep_name(path, &st);
    }
    closedir(dir);
    if (!(dir = opendir(names)))
        fatal(names);
    while ((e = readdir(dir))) {
        if (is_dots(e->d_name) || !fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
            continue;
        snprintf(path, sizeof path, "%s/%s", names, e->d_name);
        REAL(unlink)(path);
    }
    closedir(dir);
}

static void keep(int fd)
{
    struct stat st;
    char path[PATH_MAX];
    int before = errno;
    if (on && !lie && !fstat(fd, &st)) {
        pthread_mutex_lock(&lock);
        if (S_ISREG(st.st_mode))
            keep_file(fd, &st);
        else if (S_ISDIR(st.st_mode) && below(fd, path))
            keep_names(fd, st.st_ino);
        pthread_mutex_unlock(&lock);
    }
    errno = before;
}

/* The last name of an inode went: its number may be given to another file. The name in the image
 * keeps the contents until the folder is synced. */
static void gone(ino_t ino)
{
    char path[PATH_MAX];
    pthread_mutex_lock(&lock);
    if (find(ino, 0)) {
        forget(ino);
        snprintf(path, sizeof path, "%.3000s/blobs/%lu", image, (unsigned long)ino);
        REAL(unlink)(path);
    }
    pthread_mutex_unlock(&lock);
}

static int last_name(const char *path, ino_t *ino)
{
    struct stat st;
    int before = errno;
    int yes = on && !lstat(path, &st) && S_ISREG(st.st_mode) && st.st_nlink == 1;
    errno = before;
    *ino = yes ? st.st_ino : 0;
    return yes;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list args; \
        va_start(args, flags); \
        mode = va_arg(args, mode_t); \
        va_end(args); \
    }

/* A file that is emptied by being opened has lost its bytes like one that is cut. */
static int opened_with(int fd, int flags)
{
    opened(fd);
    if (fd >= 0 && (flags & O_TRUNC))
        touched(fd, 0, REST);
    return fd;
}

int open(const char *path, int flags, ...)
{
    MODE(flags)
    return opened_with(REAL(open)(path, flags, mode), flags);
}

static int (*real_open64)(const char *, int, ...);
int open64(const char *path, int flags, ...)
{
    MODE(flags)
    return opened_with(REAL(open64)(path, flags, mode), flags);
}

static int (*real_openat)(int, const char *, int, ...);
int openat(int at, const char *path, int flags, ...)
{
    MODE(flags)
    return opened_with(REAL(openat)(at, path, flags, mode), flags);
}

static int (*real_openat64)(int, const char *, int, ...);
int openat64(int at, const char *path, int flags, ...)
{
    MODE(flags)
    return opened_with(REAL(openat64)(at, path, flags, mode), flags);
}

static ssize_t (*real_write)(int, const void *, size_t);
ssize_t write(int fd, const void *data, size_t n)
{
    ssize_t done = REAL(write)(fd, data, n);
    if (on && done > 0) {
        int before = errno;
        off_t end = lseek(fd, 0, SEEK_CUR);
        errno = before;
        if (end >= 0)
            touched(fd, end - done, end);
    }
    return done;
}

static ssize_t (*real_writev)(int, const struct iovec *, int);
ssize_t writev(int fd, const struct iovec *parts, int n)
{
    ssize_t done = REAL(writev)(fd, parts, n);
    if (on && done > 0) {
        int before = errno;
        off_t end = lseek(fd, 0, SEEK_CUR);
        errno = before;
        if (end >= 0)
            touched(fd, end - done, end);
    }
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    ssize_t done = REAL(pwrite)(fd, data, n, at);
    if (done > 0)
        touched(fd, at, at + done);
    return done;
}

static ssize_t (*real_pwrite64)(int, const void *, size_t, off_t);
ssize_t pwrite64(int fd, const void *data, size_t n, off_t at)
{
    ssize_t done = REAL(pwrite64)(fd, data, n, at);
    if (done > 0)
        touched(fd, at, at + done);
    return done;
}

int ftruncate(int fd, off_t size)
{
    int done = REAL(ftruncate)(fd, size);
    if (!done)
        touched(fd, size, REST);
    return done;
}

static int (*real_ftruncate64)(int, off_t);
int ftruncate64(int fd, off_t size)
{
    int done = REAL(ftruncate64)(fd, size);
    if (!done)
        touched(fd, size, REST);
    return done;
}

static int (*real_fallocate64)(int, int, off_t, off_t);
int fallocate64(int fd, int mode, off_t from, off_t n)
{
    int done = REAL(fallocate64)(fd, mode, from, n);
    if (!done)
        touched(fd, from, from + n);
    return done;
}

int fsync(int fd)
{
    keep(fd);
    return 0;
}

int fdatasync(int fd)
{
    keep(fd);
    return 0;
}

int unlink(const char *path)
{
    ino_t ino;
    int last = last_name(path, &ino);
    int done = REAL(unlink)(path);
    if (!done && last)
        gone(ino);
    return done;
}

static int (*real_unlinkat)(int, const char *, int);
int unlinkat(int at, const char *path, int flags)
{
    struct stat st;
    int last = on && !(flags & AT_REMOVEDIR) && !fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW)
        && S_ISREG(st.st_mode) && st.st_nlink == 1;
    int done = REAL(unlinkat)(at, path, flags);
    if (!done && last)
        gone(st.st_ino);
    return done;
}

static int (*real_rename)(const char *, const char *);
int rename(const char *from, const char *to)
{
    ino_t ino;
    int last = last_name(to, &ino);
    int done = REAL(rename)(from, to);
    if (!done && last)
        gone(ino);
    return done;
}
