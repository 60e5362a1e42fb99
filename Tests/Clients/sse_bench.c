// A load generator for trainyardd in one thread: keeps N connections busy (or sends R requests a second over them), reads
// server-sent events or whole replies, and counts. It looks only for the few bytes it needs, so that the daemon, and not the client,
// is what a run measures.
//
//   cc -O2 -o sse_bench sse_bench.c
//   sse_bench --port 8000 --model NAME [--mode stream|whole] [--connections 64] [--seconds 10] [--rate 0] [--words 20]
//             [--tokens 128] [--csv FILE]
//
// --rate 0 is a closed loop. --csv writes one row per request: the answer's id (hexadecimal, the ledger's `answer`), TTFT and
// E2E in nanoseconds, tokens.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { max_connections = 20000, buffer_bytes = 1 << 18 };
struct connection {
    int descriptor, busy;
    int64_t sent, first;
    long tokens;
    char id[17], tail[64];
    int tail_length;
    long body_left;  // whole replies: bytes of the body still to come; -1 while in the head
};
static struct connection connections[max_connections];
static long finished, tokens, failed, bytes;
static int64_t *latencies;
static long latency_count, latency_capacity;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(2);
}

static const char *option(int count, char **arguments, const char *name, const char *otherwise) {
    for (int i = 1; i + 1 < count; i += 2)
        if (!strcmp(arguments[i], name)) return arguments[i + 1];
    return otherwise;
}

static void open_connection(struct connection *c, int port) {
    c->descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (c->descriptor < 0) fail("socket");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(c->descriptor, (struct sockaddr *)&address, sizeof address)) fail("connect");
    int one = 1;
    setsockopt(c->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->descriptor, F_SETFL, O_NONBLOCK);
    c->busy = 0;
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void start(struct connection *c, const char *request, int length) {
    c->busy = 1;
    c->first = 0;
    c->tokens = 0;
    c->tail_length = 0;
    c->id[0] = 0;
    c->body_left = -1;
    c->sent = now();
    if (write(c->descriptor, request, length) != length) fail("write");
}

static void end(struct connection *c, FILE *csv, int64_t at) {
    c->busy = 0;
    finished++;
    tokens += c->tokens;
    if (latency_count == latency_capacity) {
        latency_capacity = latency_capacity ? latency_capacity * 2 : 1 << 16;
        latencies = realloc(latencies, latency_capacity * sizeof *latencies);
        if (!latencies) fail("realloc");
    }
    latencies[latency_count++] = (c->first ? c->first : at) - c->sent;
    if (csv) fprintf(csv, "%s,%ld,%ld,%ld\n", c->id, (long)((c->first ? c->first : at) - c->sent), (long)(at - c->sent), c->tokens);
}

static void find_id(struct connection *c, const char *text) {
    const char *place = c->id[0] ? NULL : strstr(text, "cmpl-");
    if (place && strlen(place) >= 21) memcpy(c->id, place + 5, 16);
}

// Counts the events in what has arrived; the bytes that may begin an event are kept for the next read.
static void read_stream(struct connection *c, char *text, long length, FILE *csv) {
    find_id(c, text);
    char *place = text;
    while ((place = memmem(place, length - (place - text), "\"text\":\"", 8))) {
        if (!c->first) c->first = now();
        c->tokens++;
        place += 8;
    }
    if (memmem(text, length, "HTTP/1.1 200", 12) == NULL && !memcmp(text, "HTTP/1.1", 8 < length ? 8 : length)) failed++;
    if (memmem(text, length, "[DONE]", 6)) end(c, csv, now());
}

static void read_whole(struct connection *c, char *text, long length, FILE *csv, int asked) {
    find_id(c, text);
    if (c->body_left < 0) {
        char *end_of_head = memmem(text, length, "\r\n\r\n", 4), *field = memmem(text, length, "Content-Length: ", 16);
        if (!end_of_head || !field) fail("a head that came in parts");
        if (memcmp(text, "HTTP/1.1 200", 12)) failed++;
        c->body_left = atol(field + 16) - (length - (end_of_head + 4 - text));
    } else {
        c->body_left -= length;
    }
    if (c->body_left == 0) {
        c->tokens = asked;
        end(c, csv, now());
    }
}

int main(int count, char **arguments) {
    int port = atoi(option(count, arguments, "--port", "8000")), n = atoi(option(count, arguments, "--connections", "64"));
    int words = atoi(option(count, arguments, "--words", "20")), asked = atoi(option(count, arguments, "--tokens", "128"));
    double seconds = atof(option(count, arguments, "--seconds", "10")), rate = atof(option(count, arguments, "--rate", "0"));
    const char *model = option(count, arguments, "--model", NULL), *path = option(count, arguments, "--csv", NULL);
    int stream = !strcmp(option(count, arguments, "--mode", "stream"), "stream");
    if (!model || n < 1 || n > max_connections) {
        fprintf(stderr, "usage: see the head of sse_bench.c; --model is needed, --connections is 1 to %d\n", max_connections);
        return 2;
    }
    FILE *csv = path ? fopen(path, "w") : NULL;
    if (path && !csv) fail(path);
    if (csv) fprintf(csv, "id,ttft_ns,e2e_ns,tokens\n");
    static char body[1 << 20], request[(1 << 20) + 512], text[buffer_bytes + 64 + 1];
    int used = sprintf(body, "{\"model\":\"%s\",\"max_tokens\":%d,\"stream\":%s,\"prompt\":\"", model, asked, stream ? "true" : "false");
    for (int i = 0; i < words && used < (1 << 20) - 16; i++) used += sprintf(body + used, i ? " word" : "word");
    used += sprintf(body + used, "\"}");
    int length = sprintf(request, "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s", used, body);
    int poll = epoll_create1(0);
    for (int i = 0; i < n; i++) {
        open_connection(&connections[i], port);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].descriptor, &event)) fail("epoll_ctl");
    }
    int64_t begin = now(), until = begin + (int64_t)(seconds * 1e9), next = begin, late = 0;
    uint64_t dice = 1;
    int free_hint = 0, open = 0;
    if (rate == 0)
        for (int i = 0; i < n; i++) start(&connections[i], request, length), open++;
    for (;;) {
        int64_t at = now();
        while (rate > 0 && at >= next && at < until) {
            int tries = 0;
            while (connections[free_hint].busy && tries++ < n) free_hint = (free_hint + 1) % n;
            if (connections[free_hint].busy) {
                late++;
                next += (int64_t)(1e9 / rate);
                continue;
            }
            start(&connections[free_hint], request, length);
            open++;
            dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
            // Uniform gaps around the mean are enough to keep requests from falling into step.
            next += (int64_t)(1e9 / rate * (0.5 + (double)(dice >> 11) / 9007199254740992.0));
        }
        if (at >= until && open == 0) break;
        if (at >= until + 30000000000) break;
        struct epoll_event events[256];
        int wait = rate > 0 && at < until ? (next - at > 1000000 ? (int)((next - at) / 1000000) : 0) : 100;
        int ready = epoll_wait(poll, events, 256, wait);
        for (int e = 0; e < ready; e++) {
            struct connection *c = &connections[events[e].data.u32];
            memcpy(text, c->tail, c->tail_length);
            long got = read(c->descriptor, text + c->tail_length, buffer_bytes);
            if (got <= 0) {
                if (got < 0 && errno == EAGAIN) continue;
                fprintf(stderr, "the server closed a connection\n");
                return 1;
            }
            bytes += got;
            long all = c->tail_length + got;
            text[all] = 0;
            if (stream) {
                read_stream(c, text, all, csv);
                // An event's beginning may lie across two reads: keep the last 7 bytes, fewer than what is looked for.
                c->tail_length = all < 7 ? all : 7;
                if (c->busy) memcpy(c->tail, text + all - c->tail_length, c->tail_length);
                else c->tail_length = 0;
            } else {
                read_whole(c, text, all, csv, asked);
            }
            if (!c->busy) {
                open--;
                if (rate == 0 && now() < until) start(c, request, length), open++;
            }
        }
    }
    double took = (now() - begin) * 1e-9;
    qsort(latencies, latency_count, sizeof *latencies, compare);
    printf("%s: %ld requests, %ld tokens, %ld not 200, %.2f s: %.0f requests/s, %.0f tokens/s, %.0f MB/s", stream ? "stream" : "whole",
           finished, tokens, failed, took, finished / took, tokens / took, bytes / took * 1e-6);
    if (latency_count)
        printf("; %s p50 %.3f ms, p99 %.3f ms", stream ? "TTFT" : "E2E", latencies[latency_count / 2] * 1e-6,
               latencies[latency_count * 99 / 100] * 1e-6);
    if (rate > 0) printf("; %ld not sent because every connection was busy", (long)late);
    printf("\n");
    if (csv) fclose(csv);
    return failed ? 1 : 0;
}
