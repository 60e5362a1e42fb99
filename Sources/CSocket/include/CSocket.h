#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/// Where a connection goes: an IPv4, IPv6 or Unix address.
typedef struct {
    struct sockaddr_storage storage;
    socklen_t length;
} CSocketAddress;

static const uint32_t csocket_readable = 1;
static const uint32_t csocket_writable = 2;
/// The other side has ended the connection, or it has failed.
static const uint32_t csocket_broken = 4;

/// A socket that is ready: the token it was registered with, and what it is ready for.
typedef struct {
    uint64_t token;
    uint32_t ready;
} CSocketEvent;

/// Fills `addresses` with those of `host` and the decimal `port`, in the system's order. Returns how many, or minus the code
/// that csocket_resolve_reason understands. Numeric addresses are not looked up.
int csocket_resolve(const char *host, const char *port, CSocketAddress *addresses, int capacity);
const char *csocket_resolve_reason(int code);
/// The address of a Unix socket. Returns 0, or ENAMETOOLONG.
int csocket_unix_address(const char *path, CSocketAddress *address);

/// Begins a connection without waiting for it; with `stamps`, what is received bears the kernel's time. Returns the descriptor
/// (non-blocking, close-on-exec), or minus the errno.
int csocket_connect(const CSocketAddress *address, int stamps);
/// Whether a connection that was begun is made: 0, or the errno.
int csocket_connect_result(int descriptor);
void csocket_close(int descriptor);

/// Bytes received, 0 at the end of the connection, or minus the errno. `stamp` is the time at which the kernel took in the last
/// of them (CLOCK_REALTIME, nanoseconds), or 0 where it does not say.
long csocket_receive(int descriptor, void *buffer, size_t size, int64_t *stamp);
/// Bytes that the socket took, or minus the errno.
long csocket_send(int descriptor, const void *bytes, size_t size);
/// Waits until the descriptor is ready for any of `wanted`, at most so many nanoseconds. Returns 1, 0 when the time was over, or
/// minus the errno.
int csocket_await(int descriptor, uint32_t wanted, int64_t nanoseconds);

/// CLOCK_MONOTONIC in nanoseconds, and what CLOCK_REALTIME is ahead of it.
int64_t csocket_now(void);
int64_t csocket_realtime_lead(void);

/// A set of descriptors to wait for. Returns its descriptor, or minus the errno (ENOSYS before Linux 5.11).
int csocket_poll_create(void);
/// Registers a descriptor (`known` 0) or changes what it is watched for. Returns 0, or the errno.
int csocket_poll_watch(int poll, int descriptor, uint64_t token, uint32_t wanted, int known);
/// Waits for events, forever when `nanoseconds` is negative. Returns how many, 0 when the time was over or a signal came, or
/// minus the errno.
int csocket_poll_wait(int poll, CSocketEvent *events, int capacity, int64_t nanoseconds);

/// Raises the limit of open descriptors to what the system allows this process. Returns it.
long csocket_raise_descriptor_limit(void);
