//===----------------------------------------------------------------------===//
// Talking to the service manager: sd_notify(3), the watchdog, inherited sockets.
//===----------------------------------------------------------------------===//

import Glibc

/// The notification socket of the service manager that started this process, if there is one.
///
/// The protocol is one datagram of `KEY=value` lines to the socket named by `NOTIFY_SOCKET`; a name that begins with
/// `@` lies in the abstract namespace. Without a manager every call does nothing, so callers need not ask.
public struct ServiceNotification: Sendable {
    private let socket: UnixDatagram?

    /// - Parameter environment: value of `NOTIFY_SOCKET`; nil when it is not set.
    public init(socket: String?) { self.socket = socket.flatMap { UnixDatagram($0) } }

    /// Takes the socket from the environment.
    public static func fromEnvironment() -> ServiceNotification {
        ServiceNotification(socket: getenv("NOTIFY_SOCKET").map { String(cString: $0) })
    }

    public var isConnected: Bool { socket != nil }

    /// Sends one datagram, such as `READY=1\nSTATUS=…`. Returns whether it left.
    @discardableResult
    public func send(_ state: String) -> Bool { socket?.send(Array(state.utf8)) ?? false }

    /// One line for `systemctl status`.
    public func status(_ text: String) { send("STATUS=\(text)") }

    /// How often the watchdog wants to hear from us: half of what the manager allows, or nil when it does not watch.
    public static func watchdogIntervalNanoseconds(
        microseconds: String?, processID: String?, ownProcessID: Int32
    ) -> Int64? {
        guard let microseconds, let value = Int64(microseconds), value > 0, value < Int64.max / 1000 else { return nil }
        if let processID, Int32(processID) != ownProcessID { return nil }
        return value * 1000 / 2
    }

    public static func watchdogIntervalFromEnvironment() -> Int64? {
        func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        return watchdogIntervalNanoseconds(
            microseconds: value("WATCHDOG_USEC"), processID: value("WATCHDOG_PID"), ownProcessID: getpid())
    }
}

/// Sockets that the service manager opened before it started us (socket activation, sd_listen_fds(3)).
public struct InheritedSockets: Equatable, Sendable {
    /// Descriptor and name (`FileDescriptorName=` of the socket unit; `unknown` when it gives none).
    public struct Socket: Equatable, Sendable {
        public var descriptor: Int32
        public var name: String
    }
    public var sockets: [Socket]

    /// - Parameters: values of `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES`. Sockets meant for another process are
    /// not ours.
    public init(listenProcessID: String?, count: String?, names: String?, ownProcessID: Int32) {
        guard let listenProcessID, Int32(listenProcessID) == ownProcessID, let count, let number = Int32(count),
            number > 0,
            number < 1024
        else {
            sockets = []
            return
        }
        let given = names?.split(separator: ":", omittingEmptySubsequences: false).map(String.init) ?? []
        sockets = (0..<number).map { index in
            Socket(descriptor: 3 + index, name: Int(index) < given.count ? given[Int(index)] : "unknown")
        }
    }

    /// Takes the sockets from the environment and keeps children from inheriting them.
    public static func fromEnvironment() -> InheritedSockets {
        func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        let inherited = InheritedSockets(
            listenProcessID: value("LISTEN_PID"), count: value("LISTEN_FDS"), names: value("LISTEN_FDNAMES"),
            ownProcessID: getpid())
        for socket in inherited.sockets { _ = fcntl(socket.descriptor, F_SETFD, FD_CLOEXEC) }
        return inherited
    }
}
