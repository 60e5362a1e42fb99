/* A trivial OpenAI server for measuring load generators: one thread, epoll, keep-alive, no parsing beyond the end of the request.
 *
 *   load-mock PORT CHUNKS [TTFT_MICROSECONDS ITL_MICROSECONDS]
 *   load-mock --first-byte PORT COMMAND...
 *
 * POST: a chunked event stream of CHUNKS tokens, a usage and [DONE]; written at once, or paced: the first token TTFT after the request
 * reached this machine, then one every ITL, each at its time to within a few microseconds (the last stretch of each wait is spun).
 * GET: one model for /v1/models, 200 and nothing for anything else.
 * --first-byte: starts COMMAND, which is to send a request to PORT, prints the milliseconds from its start to the first byte that
 * came, and ends with it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { most_connections = 65536, input_size = 1 << 16 };

struct connection {
    char *input;
    int have;
    int sent;
    long long due; /* 0 when nothing is being streamed */
};

static struct connection connections[most_connections];
static int active[most_connections], active_count;
static char *whole, *head, *token, *tail;
static size_t whole_size, head_size, token_size, tail_size;
static int chunks;
static long long ttft, itl;
static long long started; /* when COMMAND was; 0 once its first byte has come */

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static char *framed(const char *text, size_t *size) {
    char *out = malloc(strlen(text) + 32);
    *size = (size_t)sprintf(out, "%zx\r\n%s\r\n", strlen(text), text);
    return out;
}

static void prepare(void) {
    char usage[512];
    size_t usage_size, done_size, final_size;
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    head_size = strlen(head);
    token = framed("data: {\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
                   "\"model\":\"mock\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n", &token_size);
    snprintf(usage, sizeof usage, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n",
             chunks, chunks + 9);
    char *final = framed("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n", &final_size);
    char *counts = framed(usage, &usage_size), *done = framed("data: [DONE]\n\n", &done_size);
    tail = malloc(final_size + usage_size + done_size + 8);
    tail_size = (size_t)sprintf(tail, "%s%s%s0\r\n\r\n", final, counts, done);
    whole = malloc(head_size + token_size * (size_t)chunks + tail_size + 1);
    char *p = whole;
    p = mempcpy(p, head, head_size);
    for (int i = 0; i < chunks; i++) p = mempcpy(p, token, token_size);
    p = mempcpy(p, tail, tail_size);
    whole_size = (size_t)(p - whole);
}

static void send_all(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) continue;
        if (n <= 0) return;
        bytes += n;
        size -= (size_t)n;
    }
}

static void drop(int fd) {
    struct connection *c = &connections[fd];
    free(c->input);
    for (int i = 0; i < active_count; i++)
        if (active[i] == fd) active[i--] = active[--active_count];
    memset(c, 0, sizeof *c);
    close(fd);
}

/* Receives; `arrived` is when the kernel took in the last of it, on the monotonic clock. */
static ssize_t receive(int fd, char *input, size_t size, long long *arrived) {
    char control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec piece = {.iov_base = input, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(fd, &message, 0);
    *arrived = now();
    for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&message) : NULL; c; c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec stamp, real;
            memcpy(&stamp, CMSG_DATA(c), sizeof stamp);
            clock_gettime(CLOCK_REALTIME, &real);
            *arrived -= (real.tv_sec - stamp.tv_sec) * 1000000000LL + real.tv_nsec - stamp.tv_nsec;
        }
    return n;
}

static void answer(int fd, long long arrived) {
    struct connection *c = &connections[fd];
    if (strncmp(c->input, "GET", 3) == 0) {
        const char *body = strstr(c->input, "/v1/models") ? "{\"data\":[{\"id\":\"mock\"}]}" : "";
        char text[256];
        int size = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
        send_all(fd, text, (size_t)size);
    } else if (ttft == 0 && itl == 0) {
        send_all(fd, whole, whole_size);
    } else {
        send_all(fd, head, head_size);
        c->sent = 0;
        c->due = arrived + ttft;
        active[active_count++] = fd;
    }
}

/* Whether a whole request has come; the rest of the input, if any, is dropped (there is no pipelining). */
static int complete(struct connection *c) {
    char *end = memmem(c->input, (size_t)c->have, "\r\n\r\n", 4);
    if (!end) return 0;
    *end = 0;
    char *length = strcasestr(c->input, "content-length:");
    *end = '\r';
    long size = length ? strtol(length + 15, NULL, 10) : 0;
    return c->have >= end + 4 - c->input + size;
}

static void readable(int fd) {
    struct connection *c = &connections[fd];
    if (!c->input) c->input = malloc(input_size);
    long long arrived;
    ssize_t n = receive(fd, c->input + c->have, (size_t)(input_size - 1 - c->have), &arrived);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0 || c->have + n >= input_size - 1) {
        drop(fd);
        return;
    }
    if (started) printf("%.2f\n", (double)(now() - started) / 1e6);
    started = 0;
    c->have += (int)n;
    c->input[c->have] = 0;
    if (complete(c)) {
        answer(fd, arrived);
        c->have = 0;
    }
}

static long long stream_due(void) {
    long long next = 0, time = now();
    for (int i = 0; i < active_count; i++) {
        struct connection *c = &connections[active[i]];
        while (c->due && c->due <= time) {
            send_all(active[i], token, token_size);
            c->due += itl;
            if (++c->sent == chunks) {
                send_all(active[i], tail, tail_size);
                c->due = 0;
            }
        }
        if (!c->due) {
            active[i--] = active[--active_count];
            continue;
        }
        if (!next || c->due < next) next = c->due;
    }
    return next;
}

static void child_ended(int signal) {
    (void)signal;
    exit(0);
}

static void start(char **command) {
    signal(SIGCHLD, child_ended);
    started = now();
    if (fork() != 0) return;
    int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDOUT_FILENO);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

int main(int argc, char **argv) {
    char **command = NULL;
    if (argc >= 4 && strcmp(argv[1], "--first-byte") == 0) {
        command = argv + 3;
        argv[1] = argv[2];
        argv[2] = "1";
        argc = 3;
    }
    if (argc != 3 && argc != 5) {
        fprintf(stderr, "usage: load-mock PORT CHUNKS [TTFT_MICROSECONDS ITL_MICROSECONDS]\n"
                        "       load-mock --first-byte PORT COMMAND...\n");
        return 2;
    }
    chunks = atoi(argv[2]);
    if (argc == 5) {
        ttft = atoll(argv[3]) * 1000;
        itl = atoll(argv[4]) * 1000;
    }
    prepare();
    signal(SIGPIPE, SIG_IGN);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("load-mock");
        return 1;
    }
    int poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    if (command) start(command);
    for (;;) {
        long long next = active_count ? stream_due() : 0;
        struct timespec wait, *timeout = NULL;
        if (next) {
            /* Sleep to within 60 microseconds of the next token, then spin. */
            long long left = next - now() - 60000;
            if (left < 0) left = 0;
            wait = (struct timespec){left / 1000000000LL, left % 1000000000LL};
            timeout = &wait;
        }
        int count = epoll_pwait2(poll, events, 256, timeout, NULL);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) {
                readable(fd);
                continue;
            }
            int accepted;
            while ((accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                if (accepted >= most_connections) {
                    close(accepted);
                    continue;
                }
                setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                if (ttft || itl) setsockopt(accepted, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
                struct epoll_event added = {.events = EPOLLIN, .data.fd = accepted};
                epoll_ctl(poll, EPOLL_CTL_ADD, accepted, &added);
            }
        }
    }
}
