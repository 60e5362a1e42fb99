//===----------------------------------------------------------------------===//
// What a socket would not take yet.
//===----------------------------------------------------------------------===//

import CSocket

/// Sends bytes on a socket that does not block, and keeps those that it does not take until it is writable again.
struct UnsentBytes {
    private var bytes: [UInt8] = []

    var isEmpty: Bool { bytes.isEmpty }

    /// Sends `more` behind what waits already. An error shows when the connection is read from.
    mutating func send(_ more: ArraySlice<UInt8>, on descriptor: Int32, of loop: PollLoop) {
        guard bytes.isEmpty else {
            bytes += more
            return
        }
        let sent = more.withUnsafeBytes { csocket_send(descriptor, $0.baseAddress, $0.count) }
        guard sent < more.count, sent >= 0 || Int32(-sent) == SystemFault.wouldBlock else { return }
        bytes = Array(more.dropFirst(max(0, sent)))
        loop.change(descriptor, to: csocket_readable | csocket_writable)
    }

    /// Sends what waits, as far as the socket takes it.
    mutating func flush(on descriptor: Int32, of loop: PollLoop) {
        let sent = bytes.withUnsafeBytes { csocket_send(descriptor, $0.baseAddress, $0.count) }
        if sent < 0, Int32(-sent) == SystemFault.wouldBlock { return }
        // After an error nothing more can be sent; reading tells what it was.
        bytes = sent < 0 ? [] : Array(bytes.dropFirst(sent))
        if bytes.isEmpty { loop.change(descriptor, to: csocket_readable) }
    }

    mutating func drop() { bytes = [] }
}
