/* Fails the N-th call that changes the disk, in whatever library it is made: LD_PRELOADed before libc.

   faults_arm(n, error, sticky)  the n-th call from now on fails with errno `error`; if sticky, all after it, too.
                                 n = 0: none fails, calls are only counted.
   faults_passed()               calls so far.

   Only regular files and folders count; what a process says on its standard streams is left alone. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile long passed, wanted;
static volatile int failing, sticks;

void faults_arm(long n, int error, int sticky)
{
    passed = 0;
    wanted = n;
    failing = error;
    sticks = sticky;
}

long faults_passed(void)
{
    return passed;
}

static int strikes(void)
{
    long now = __sync_add_and_fetch(&passed, 1);
    if (!wanted || now < wanted || (now > wanted && !sticks))
        return 0;
    errno = failing;
    return 1;
}

static int strikes_at(int descriptor)
{
    struct stat found;
    int before = errno;
    int counts = descriptor > 2 && !fstat(descriptor, &found) && (S_ISREG(found.st_mode) || S_ISDIR(found.st_mode));
    errno = before;
    return counts && strikes();
}

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int descriptor, const void *data, size_t size)
{
    return strikes_at(descriptor) ? -1 : REAL(write)(descriptor, data, size);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count)
{
    return strikes_at(descriptor) ? -1 : REAL(writev)(descriptor, parts, count);
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t at)
{
    return strikes_at(descriptor) ? -1 : REAL(pwrite)(descriptor, data, size, at);
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t at)
{
    return strikes_at(descriptor) ? -1 : REAL(pwrite64)(descriptor, data, size, at);
}

ssize_t sendfile64(int out, int in, off64_t *at, size_t size)
{
    ssize_t (*real)(int, int, off64_t *, size_t) = dlsym(RTLD_NEXT, "sendfile64");
    return strikes_at(out) ? -1 : real(out, in, at, size);
}

int ftruncate(int descriptor, off_t size)
{
    return strikes_at(descriptor) ? -1 : REAL(ftruncate)(descriptor, size);
}

int ftruncate64(int descriptor, off64_t size)
{
    return strikes_at(descriptor) ? -1 : REAL(ftruncate64)(descriptor, size);
}

int fsync(int descriptor)
{
    return strikes_at(descriptor) ? -1 : REAL(fsync)(descriptor);
}

int fdatasync(int descriptor)
{
    return strikes_at(descriptor) ? -1 : REAL(fdatasync)(descriptor);
}

int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    return strikes() ? -1 : real(from, to);
}

int renameat2(int old, const char *from, int new, const char *to, unsigned int flags)
{
    int (*real)(int, const char *, int, const char *, unsigned int) = dlsym(RTLD_NEXT, "renameat2");
    return strikes() ? -1 : real(old, from, new, to, flags);
}
