/* launcher.c: the command `pyoci`. A Python program is open to its environment: variables, the working directory, user
 * directories and the dynamic loader's own switches all can bring in code. This small static program leaves only what
 * is known to be harmless and starts the interpreter (interpreter.c) isolated. It must stay static: a dynamic one would
 * have run foreign code before its first line. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef PYOCI_PYTHON
#error "setup.py gives the interpreter and the library directory"
#endif

extern char **environ;

/* Names kept; those that end in '*' are prefixes. Everything else, among it PYTHON*, LD_*, LC_*, is dropped. */
/* clang-format off */
static const char *const kept[] = {
    "PATH", "HOME", "USER", "LOGNAME", "TERM", "COLUMNS", "LINES", "NO_COLOR", "TZ", "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "TRACEPARENT",
    "TRACESTATE", "_OCI*", "_LIBPOD*", "_CONTAINERS_*",
};
/* clang-format on */

/* As containerd's runtime plugin, of which containerd tells the addresses so */
static const char *const kept_by_shim[] = {
    "TTRPC_ADDRESS", "GRPC_ADDRESS", "NAMESPACE", "MAX_SHIM_VERSION", "SCHED_CORE", "CONTAINERD_SHIM_*",
};

static const char SHIM[] = "containerd-shim-pyoci-v1";

/* The C library opens the file that TZ names, be it a pipe or a device */
static int names_a_file(const char *variable)
{
    return strncmp(variable, "TZ=", 3) == 0 && (strchr(":/", variable[3]) || strstr(variable, ".."));
}

static int is_among(const char *variable, const char *const *names, size_t count)
{
    size_t name = strcspn(variable, "=");

    for (size_t n = 0; n < count; n++) {
        size_t length = strlen(names[n]);
        if (names[n][length - 1] == '*' ? name >= length - 1 && strncmp(variable, names[n], length - 1) == 0
                                        : name == length && strncmp(variable, names[n], length) == 0)
            return 1;
    }
    return 0;
}

static int is_kept(const char *variable, int as_shim)
{
    if (names_a_file(variable))
        return 0;
    return is_among(variable, kept, sizeof kept / sizeof *kept) ||
           (as_shim && is_among(variable, kept_by_shim, sizeof kept_by_shim / sizeof *kept_by_shim));
}

static void scrub_environment(int as_shim)
{
    char **to = environ;

    for (char **from = environ; *from; from++)
        if (is_kept(*from, as_shim))
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
static int find_package(char *package, size_t room)
{
    return snprintf(package, room, "%s/pyoci", PYOCI_IN_TREE) < (int)room;
}
#else
/* The package that this program was installed with, found from where it lies itself */
static int find_package(char *package, size_t room)
{
    static const char *const places[] = {
        "lib/" PYOCI_LIBRARY "/site-packages", "lib64/" PYOCI_LIBRARY "/site-packages",
        "lib/" PYOCI_LIBRARY "/dist-packages", "local/lib/" PYOCI_LIBRARY "/dist-packages",
        "lib/python3/dist-packages", /* Debian's own packages */
    };
    static char self[PATH_MAX];
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
        int size = snprintf(package, room, "%s/%s/pyoci", self, places[n]);
        if (size > 0 && (size_t)size < room && access(package, X_OK) == 0)
            return 1;
    }
    return 0;
}
#endif

/* Which of the two commands this is. An installer may have linked or copied it: the name that it was called by counts,
 * and its own */
static int is_shim(const char *called)
{
    const char *slash = called ? strrchr(called, '/') : NULL;

    return called && strcmp(slash ? slash + 1 : called, SHIM) == 0;
}

/* containerd calls `delete` after each end, also of a container that the shim has removed already: then its note
 * (pyoci/containerd/files.py) is no more in the bundle, and there is nothing to do but to answer: exit_status 137,
 * exited_at now. Python is not started for that. */
static int is_deleted(int argc, char **argv)
{
    const char *bundle = ".";
    int deleted = 0;

    if (argc < 2 || strcmp(argv[argc - 1], "delete") != 0)
        return 0;
    for (int n = 1; n + 1 < argc; n++)
        if (strcmp(argv[n], "-bundle") == 0)
            bundle = argv[n + 1];
    int fd = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (faccessat(fd, "address", F_OK, 0) == 0) /* `start` was here */
        deleted = faccessat(fd, "pyoci-shim.json", F_OK, 0) < 0 && errno == ENOENT;
    close(fd);
    return deleted;
}

static size_t put_number(unsigned char *to, unsigned long long number)
{
    size_t length = 0;

    for (; number >= 0x80; number >>= 7)
        to[length++] = (unsigned char)(number | 0x80);
    to[length++] = (unsigned char)number;
    return length;
}

static int answer_deleted(void)
{
    unsigned char time[24], answer[40] = { 0x10, 137, 1, 0x1a }; /* field 2, a number; field 3, a message */
    struct timespec now;
    size_t length = 0;

    clock_gettime(CLOCK_REALTIME, &now);
    time[length++] = 0x08;
    length += put_number(time + length, (unsigned long long)now.tv_sec);
    time[length++] = 0x10;
    length += put_number(time + length, (unsigned long long)now.tv_nsec);
    answer[4] = (unsigned char)length;
    memcpy(answer + 5, time, length);
    return write(STDOUT_FILENO, answer, 5 + length) == (ssize_t)(5 + length) ? 0 : 1;
}

/* The template (pyoci/containerd/template.py): a process with Python and all modules ready, which forks a shim for each
 * `start`. It is asked by its socket, whose name says what it serves: this program as it was installed, our namespaces and
 * root, and containerd's address. Whether it is like us in all else it sees itself. */
#define TEMPLATE_WAIT 2 /* seconds until it greets; then it takes requests */
#define MAX_REQUEST (64 << 10)

static char template_name[] = "_PYOCI_TEMPLATE=/run/containerd/s/pyoci-0123456789abcdef";
static const char *const template_socket = template_name + sizeof "_PYOCI_TEMPLATE=" - 1;

/* FNV-1a */
static unsigned long long mix(unsigned long long hash, const void *data, size_t size)
{
    const unsigned char *byte = data;

    while (size--)
        hash = (hash ^ *byte++) * 0x100000001b3ULL;
    return hash;
}

static int mix_file(unsigned long long *hash, const char *path)
{
    struct stat found;

    if (stat(path, &found) < 0)
        return -1;
    *hash = mix(*hash, &found.st_dev, sizeof found.st_dev);
    *hash = mix(*hash, &found.st_ino, sizeof found.st_ino);
    return 0;
}

static int name_template(const char *interpreter, int argc, char **argv)
{
    static const char *const files[] = {
        "/",
        "/proc/self/ns/cgroup",
        "/proc/self/ns/ipc",
        "/proc/self/ns/mnt",
        "/proc/self/ns/net",
        "/proc/self/ns/pid",
        "/proc/self/ns/user",
        "/proc/self/ns/uts",
    };
    unsigned long long hash = 0xcbf29ce484222325ULL;
    struct stat program;

    if (stat(interpreter, &program) < 0 || mix_file(&hash, interpreter) < 0)
        return -1;
    hash = mix(hash, &program.st_mtim, sizeof program.st_mtim);
    for (size_t n = 0; n < sizeof files / sizeof *files; n++)
        if (mix_file(&hash, files[n]) < 0)
            return -1;
    for (int n = 1; n + 1 < argc; n++)
        if (strcmp(argv[n], "-address") == 0)
            hash = mix(hash, argv[n + 1], strlen(argv[n + 1]));
    snprintf(template_name + sizeof template_name - 17, 17, "%016llx", hash);
    return 0;
}

/* `CONTAINERD_SHIM_PYOCI_TEMPLATE=off`, and users who share a host with others, do without */
static int is_template_wanted(void)
{
    const char *said = getenv("CONTAINERD_SHIM_PYOCI_TEMPLATE");

    return geteuid() == 0 && !(said && strcmp(said, "off") == 0);
}

static int connect_template(void)
{
    const struct timeval wait = { .tv_sec = TEMPLATE_WAIT };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct ucred peer;
    socklen_t size = sizeof peer;
    char greeting;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    strcpy(address.sun_path, template_socket);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) == 0 &&
        connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid() &&
        read(fd, &greeting, 1) == 1 && greeting == 'y')
        return fd;
    close(fd);
    return -1;
}

/* Our words and our environment, each with its NUL, and an empty one after each list. 0 where that does not go: a word is
 * empty, or all is too long */
static size_t put_request(char *to, size_t room, char **words)
{
    size_t used = 4;

    for (int part = 0; part < 2; part++, words = environ) {
        for (; *words; words++) {
            size_t length = strlen(*words) + 1;
            if (length == 1 || length + 2 > room - used) /* the two that end the lists */
                return 0;
            memcpy(to + used, *words, length);
            used += length;
        }
        to[used++] = '\0';
    }
    for (int n = 0; n < 4; n++)
        to[n] = (char)((used - 4) >> (8 * (3 - n)) & 0xff);
    return used;
}

/* Gives it the request with our standard streams and working directory */
static int send_request(int fd, char *request, size_t size)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(4 * sizeof(int))];
    } control = { .room = { 0 } };
    struct iovec data = { request, size };
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room
    };
    int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int passed[4] = { 0, 1, 2, here };

    if (here < 0)
        return -1;
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof passed);
    memcpy(CMSG_DATA(&control.head), passed, sizeof passed);
    while (size) {
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent < 0)
            break;
        size -= (size_t)sent;
        data.iov_base = (char *)data.iov_base + sent;
        data.iov_len = size;
        message.msg_control = NULL;
        message.msg_controllen = 0;
    }
    close(here);
    return size ? -1 : 0;
}

/* The exit status of a `start` by the template, or -1: then we do it */
static int start_by_template(char **words)
{
    static char request[MAX_REQUEST];
    const struct timeval forever = { 0 };
    size_t size = put_request(request, sizeof request, words);
    unsigned char answer[2];
    int fd = size ? connect_template() : -1;

    if (fd < 0)
        return -1;
    if (send_request(fd, request, size) < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever) < 0 ||
        read(fd, answer, 1) != 1 || answer[0] != 'b') {
        close(fd);
        return -1;
    }
    if (read(fd, answer, 2) == 2 && answer[0] == 'd')
        return answer[1];
    /* It has begun: it has read our input, and may have answered. Containerd could not tell that from a second answer */
    fprintf(stderr, "%s: the process that was to become the shim has ended\n", SHIM);
    return 1;
}

/* Replaces this program; returns only when that fails. The words after our own name follow those that are fixed. */
static void start(const char *const *fixed, size_t count, int argc, char **argv)
{
    const char *args[count + (size_t)argc + 1];

    memcpy(args, fixed, count * sizeof *fixed);
    for (int n = 1; n < argc; n++)
        args[count++] = argv[n];
    args[count] = NULL;
    execve(args[0], (char *const *)args, environ);
}

/* Python needs some room, and dies of a signal where it is too small; our own buffers are not on the stack for that */
#define LEAST_STACK (128 << 10)

static int has_room(void)
{
    struct rlimit stack;

    return getrlimit(RLIMIT_STACK, &stack) < 0 || stack.rlim_cur >= LEAST_STACK;
}

int main(int argc, char **argv)
{
    static char package[PATH_MAX - 32], interpreter[PATH_MAX], script[PATH_MAX], started[48] = "started=";
    struct timespec now;
    const int as_shim = is_shim(argc > 0 ? argv[0] : NULL);
    const char *const own[] = { interpreter, started + strlen("started="), "--containerd-shim" };
    /* clang-format off */
    const char *const stock[] = { PYOCI_PYTHON, "-I", "-S", "-B", "-X", "utf8", "--check-hash-based-pycs", "always",
                                  "-X", started, "-X", "packages=" PYOCI_PACKAGES, script,
                                  "--containerd-shim" };
    /* clang-format on */

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (getauxval(AT_SECURE)) {
        fputs("pyoci: will not run with a file's set-user-ID, set-group-ID or capabilities\n", stderr);
        return 1;
    }
    if (fill_streams() < 0)
        return 1;
    if (!has_room()) {
        fputs("pyoci: a limit of the stack below 128 KiB is too low for Python; raise it (ulimit -s)\n", stderr);
        return 1;
    }
    if (as_shim && is_deleted(argc, argv))
        return answer_deleted();
    scrub_environment(as_shim);
    if (!find_package(package, sizeof package)) {
        fputs("pyoci: the Python package that belongs to this program is missing; install pyoci again\n", stderr);
        return 1;
    }
    snprintf(started + strlen(started), sizeof started - strlen(started), "%lld",
             now.tv_sec * 1000000000LL + now.tv_nsec);
    snprintf(interpreter, sizeof interpreter, "%s/programs/interpreter", package);
    snprintf(script, sizeof script, "%s/__main__.py", package);
    if (as_shim && argc > 1 && strcmp(argv[argc - 1], "start") == 0 && is_template_wanted() &&
        name_template(interpreter, argc, argv) == 0) {
        int status = start_by_template(argv + 1);
        if (status >= 0)
            return status;
        if (putenv(template_name) != 0)
            return 1;
    }
    start(own, sizeof own / sizeof *own - !as_shim, argc, argv);
    start(stock, sizeof stock / sizeof *stock - !as_shim, argc, argv); /* where Python could not be linked */
    fprintf(stderr, "pyoci: cannot start the interpreter %s: %s; install pyoci again with a present one\n",
            PYOCI_PYTHON, strerror(errno));
    return 1;
}
