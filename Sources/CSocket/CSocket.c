#include "CSocket.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int csocket_resolve(const char *host, const char *port, CSocketAddress *addresses, int capacity) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(host, port, &hints, &found);
    if (code == EAI_NONAME) {
        hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
        code = getaddrinfo(host, port, &hints, &found);
    }
    // glibc's codes are negative already.
    if (code) return code < 0 ? code : -code;
    int count = 0;
    for (struct addrinfo *each = found; each && count < capacity; each = each->ai_next) {
        if (each->ai_addrlen > sizeof addresses[count].storage) continue;
        memset(&addresses[count], 0, sizeof addresses[count]);
        memcpy(&addresses[count].storage, each->ai_addr, each->ai_addrlen);
        addresses[count++].length = each->ai_addrlen;
    }
    freeaddrinfo(found);
    return count;
}

const char *csocket_resolve_reason(int code) { return gai_strerror(EAI_NONAME < 0 ? code : -code); }

int csocket_unix_address(const char *path, CSocketAddress *address) {
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    if (size >= sizeof local.sun_path) return ENAMETOOLONG;
    memcpy(local.sun_path, path, size);
    memset(address, 0, sizeof *address);
    memcpy(&address->storage, &local, sizeof local);
    address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
    return 0;
}

int csocket_connect(const CSocketAddress *address, int stamps) {
    int family = address->storage.ss_family, on = 1;
    int descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    if (family != AF_UNIX) {
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        // Where the kernel has no stamps, csocket_receive says 0.
        if (stamps) setsockopt(descriptor, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    }
    if (connect(descriptor, (const struct sockaddr *)&address->storage, address->length) && errno != EINPROGRESS) {
        int code = errno;
        close(descriptor);
        return -code;
    }
    return descriptor;
}

int csocket_connect_result(int descriptor) {
    int code = 0;
    socklen_t size = sizeof code;
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) ? errno : code;
}

void csocket_close(int descriptor) { close(descriptor); }

long csocket_receive(int descriptor, void *buffer, size_t size, int64_t *stamp) {
    union {
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
        struct cmsghdr aligned;
    } control;
    struct iovec piece = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *stamp = 0;
    ssize_t count;
    do count = recvmsg(descriptor, &message, 0);
    while (count < 0 && errno == EINTR);
    if (count < 0) return -errno;
    for (struct cmsghdr *each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each)) {
        if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_TIMESTAMPNS) continue;
        struct timespec time;
        memcpy(&time, CMSG_DATA(each), sizeof time);
        *stamp = time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
    }
    return count;
}

long csocket_send(int descriptor, const void *bytes, size_t size) {
    ssize_t count;
    do count = send(descriptor, bytes, size, MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

static struct timespec span(int64_t nanoseconds) {
    return (struct timespec){.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
}

int csocket_await(int descriptor, uint32_t wanted, int64_t nanoseconds) {
    struct pollfd entry = {.fd = descriptor};
    if (wanted & csocket_readable) entry.events |= POLLIN;
    if (wanted & csocket_writable) entry.events |= POLLOUT;
    struct timespec limit = span(nanoseconds < 0 ? 0 : nanoseconds);
    int ready = ppoll(&entry, 1, &limit, NULL);
    return ready < 0 ? (errno == EINTR ? 0 : -errno) : ready;
}

static int64_t read_clock(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

int64_t csocket_now(void) { return read_clock(CLOCK_MONOTONIC); }

int64_t csocket_realtime_lead(void) {
    int64_t before = read_clock(CLOCK_MONOTONIC), real = read_clock(CLOCK_REALTIME), after = read_clock(CLOCK_MONOTONIC);
    return real - (before + after) / 2;
}

int csocket_poll_create(void) {
    int poll = epoll_create1(EPOLL_CLOEXEC);
    if (poll < 0) return -errno;
    struct epoll_event none;
    struct timespec zero = {0};
    if (epoll_pwait2(poll, &none, 1, &zero, NULL) < 0) {
        int code = errno;
        close(poll);
        return -code;
    }
    return poll;
}

int csocket_poll_watch(int poll, int descriptor, uint64_t token, uint32_t wanted, int known) {
    struct epoll_event entry = {.data.u64 = token};
    if (wanted & csocket_readable) entry.events |= EPOLLIN;
    if (wanted & csocket_writable) entry.events |= EPOLLOUT;
    return epoll_ctl(poll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, descriptor, &entry) ? errno : 0;
}

int csocket_poll_wait(int poll, CSocketEvent *events, int capacity, int64_t nanoseconds) {
    struct epoll_event found[128];
    struct timespec limit = span(nanoseconds < 0 ? 0 : nanoseconds);
    if (capacity > 128) capacity = 128;
    int count = epoll_pwait2(poll, found, capacity, nanoseconds < 0 ? NULL : &limit, NULL);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        uint32_t ready = 0;
        if (found[i].events & EPOLLIN) ready |= csocket_readable;
        if (found[i].events & EPOLLOUT) ready |= csocket_writable;
        if (found[i].events & (EPOLLERR | EPOLLHUP)) ready |= csocket_broken;
        events[i] = (CSocketEvent){.token = found[i].data.u64, .ready = ready};
    }
    return count;
}

long csocket_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return -errno;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur > 1 << 20 ? 1 << 20 : (long)limit.rlim_cur;
}
