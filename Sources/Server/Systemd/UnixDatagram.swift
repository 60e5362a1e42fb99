//===----------------------------------------------------------------------===//
// One-way datagrams to a Unix socket: what sd_notify(3) and the journal speak.
//===----------------------------------------------------------------------===//

import Glibc

/// The address of a datagram socket in the file system (`/…`) or in the abstract namespace (`@…`).
struct UnixDatagram: Sendable {
    private let path: [UInt8]

    /// Nil for a name that is neither absolute nor abstract, or longer than an address holds.
    init?(_ name: String) {
        guard let first = name.utf8.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@"),
            name.utf8.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path)
        else { return nil }
        path = Array(name.utf8)
    }

    /// Sends one datagram from a socket of its own, so that a receiver that restarted is found again. False when it did
    /// not leave, for example because nobody listens or it is longer than the kernel's send buffer.
    func send(_ bytes: [UInt8]) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { place in
            place.copyBytes(from: path)
            if path[0] == UInt8(ascii: "@") { place[0] = 0 }
        }
        let length = socklen_t(MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + path.count)
        let sent = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
        return sent == bytes.count
    }
}
