//===----------------------------------------------------------------------===//
// From the name of a server to an address that answers.
//===----------------------------------------------------------------------===//

import CSocket

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// An address that connections are made to.
struct ServerAddress: @unchecked Sendable {
    private let raw: CSocketAddress

    /// Looks up the target's host. Of several addresses the first that takes a connection is chosen, or the first of
    /// all if none does: the load then counts what happens.
    init(resolving target: LoadTarget) throws(LoadError) {
        if let path = target.socketPath {
            var address = CSocketAddress()
            guard csocket_unix_address(path, &address) == 0 else {
                throw LoadError("the path '\(path)' is too long for a Unix socket")
            }
            raw = address
            return
        }
        var found = Array(repeating: CSocketAddress(), count: 8)
        let count = csocket_resolve(target.host, "\(target.port)", &found, Int32(found.count))
        guard count > 0 else {
            let reason = count < 0 ? String(cString: csocket_resolve_reason(count)) : "it has no address"
            throw LoadError("cannot find the host '\(target.host)': \(reason)")
        }
        found.removeLast(found.count - Int(count))
        raw = found.count == 1 ? found[0] : found.first(where: ServerAddress.answers) ?? found[0]
    }

    private static func answers(_ address: CSocketAddress) -> Bool {
        var address = address
        let descriptor = csocket_connect(&address, 0)
        guard descriptor >= 0 else { return false }
        defer { csocket_close(descriptor) }
        return csocket_await(descriptor, csocket_writable, 1_000_000_000) == 1
            && csocket_connect_result(descriptor) == 0
    }

    /// Begins a connection: the descriptor, or minus the errno.
    ///
    /// - Parameter stamps: whether the kernel notes when bytes come in.
    func connect(stamps: Bool) -> Int32 {
        withUnsafePointer(to: raw) { csocket_connect($0, stamps ? 1 : 0) }
    }
}
