/* launcher.c: the command `pyoci`. A Python program is open to its environment: variables, the working directory, user
 * directories and the dynamic loader's own switches all can bring in code. This small static program leaves only what
 * is known to be harmless and starts the interpreter isolated. It must stay static: a dynamic one would have run foreign
 * code before its first line. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#ifndef PYOCI_PYTHON
#error "setup.py gives the interpreter and the library directory"
#endif

extern char **environ;

/* Names kept; those that end in '*' are prefixes. Everything else, among it PYTHON*, LD_*, LC_*, is dropped. */
static const char *const kept[] = {
    "PATH", "HOME", "USER", "LOGNAME", "TERM", "COLUMNS", "LINES", "NO_COLOR", "TZ", "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "TRACEPARENT",
    "TRACESTATE", "_OCI*", "_LIBPOD*", "_CONTAINERS_*",
};

static int is_kept(const char *variable)
{
    size_t name = strcspn(variable, "=");

    for (size_t n = 0; n < sizeof kept / sizeof *kept; n++) {
        size_t length = strlen(kept[n]);
        if (kept[n][length - 1] == '*' ? name >= length - 1 && strncmp(variable, kept[n], length - 1) == 0
                                       : name == length && strncmp(variable, kept[n], length) == 0)
            return 1;
    }
    return 0;
}

static void scrub_environment(void)
{
    char **to = environ;

    for (char **from = environ; *from; from++)
        if (is_kept(*from))
            *to++ = *from;
    *to = NULL;
}

/* A closed standard stream would be taken by the next file opened: the container would read our state */
static int fill_streams(void)
{
    for (int n = 0; n < 3; n++)
        if (fcntl(n, F_GETFD) < 0 && open("/dev/null", O_RDWR) != n)
            return -1;
    return 0;
}

#ifdef PYOCI_IN_TREE
static int find_package(char *main, size_t room)
{
    return snprintf(main, room, "%s/pyoci/__main__.py", PYOCI_IN_TREE) < (int)room;
}
#else
/* The package that this program was installed with, found from where it lies itself */
static int find_package(char *main, size_t room)
{
    static const char *const places[][2] = { { "lib", "site-packages" }, { "lib64", "site-packages" },
                                             { "lib", "dist-packages" }, { "local/lib", "dist-packages" } };
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

    if (length <= 0)
        return 0;
    self[length] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(self, '/');
        if (!slash)
            return 0;
        *slash = '\0';
    }
    for (size_t n = 0; n < sizeof places / sizeof *places; n++) {
        int size = snprintf(main, room, "%s/%s/" PYOCI_LIBRARY "/%s/pyoci/start.pyc", self, places[n][0], places[n][1]);
        if (size > 0 && (size_t)size < room && access(main, R_OK) == 0)
            return 1;
    }
    return 0;
}
#endif

int main(int argc, char **argv)
{
    static char main_file[PATH_MAX];
    char *fixed[] = { PYOCI_PYTHON, "-I", "-S", "-B", "-X", "utf8", "--check-hash-based-pycs", "always",
#ifdef PYOCI_PACKAGES
                      "-X", "packages=" PYOCI_PACKAGES,
#endif
                      main_file };
    const size_t count = sizeof fixed / sizeof *fixed;

    if (getauxval(AT_SECURE)) {
        fputs("pyoci: will not run with a file's set-user-ID, set-group-ID or capabilities\n", stderr);
        return 1;
    }
    if (fill_streams() < 0)
        return 1;
    scrub_environment();
    if (!find_package(main_file, sizeof main_file)) {
        fputs("pyoci: the Python package that belongs to this program is missing; install pyoci again\n", stderr);
        return 1;
    }
    char *args[count + (size_t)(argc > 0 ? argc : 1)];
    memcpy(args, fixed, sizeof fixed);
    for (int n = 1; n < argc; n++)
        args[count + (size_t)n - 1] = argv[n];
    args[count + (size_t)(argc > 0 ? argc : 1) - 1] = NULL;
    execve(PYOCI_PYTHON, args, environ);
    fprintf(stderr, "pyoci: cannot start the interpreter %s: %s; install pyoci again with a present one\n",
            PYOCI_PYTHON, strerror(errno));
    return 1;
}
