import Foundation
import Testing

@testable import Server

@Suite struct ServiceNotificationTests {
    /// Receives datagrams as a service manager would.
    final class Receiver {
        let descriptor: Int32
        init(path: String) throws {
            descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let bytes = Array(path.utf8)
            withUnsafeMutableBytes(of: &address.sun_path) {
                $0.copyBytes(from: bytes)
                if bytes[0] == UInt8(ascii: "@") { $0[0] = 0 }
            }
            let length = socklen_t(MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + bytes.count)
            let code = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
            }
            try #require(code == 0)
        }
        func next() -> String {
            var buffer = [UInt8](repeating: 0, count: 1024)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
        }
        deinit { close(descriptor) }
    }

    @Test func sendsToPathAndAbstractSockets() throws {
        let path = NSTemporaryDirectory() + "trainyard-notify-\(getpid())"
        defer { unlink(path) }
        for name in [path, "@trainyard-notify-\(getpid())"] {
            let receiver = try Receiver(path: name)
            let notification = ServiceNotification(socket: name)
            #expect(notification.send("READY=1\nSTATUS=up"))
            #expect(receiver.next() == "READY=1\nSTATUS=up")
        }
    }

    @Test func silentWithoutAManager() {
        #expect(!ServiceNotification(socket: nil).isConnected)
        #expect(!ServiceNotification(socket: "").send("READY=1"))
        #expect(!ServiceNotification(socket: "relative/path").isConnected)
        #expect(!ServiceNotification(socket: "/" + String(repeating: "x", count: 200)).isConnected)
    }

    @Test func watchdogInterval() {
        func interval(_ microseconds: String?, _ process: String?) -> Int64? {
            ServiceNotification.watchdogIntervalNanoseconds(
                microseconds: microseconds, processID: process, ownProcessID: 7)
        }
        #expect(interval("2000000", nil) == 1_000_000_000)
        #expect(interval("2000000", "7") == 1_000_000_000)
        #expect(interval("2000000", "8") == nil)
        #expect(interval(nil, nil) == nil)
        #expect(interval("0", nil) == nil)
        #expect(interval("x", nil) == nil)
    }

    @Test func inheritedSockets() {
        func names(_ process: String?, _ count: String?, _ names: String?) -> [String] {
            InheritedSockets(listenProcessID: process, count: count, names: names, ownProcessID: 7).sockets.map {
                "\($0.descriptor):\($0.name)"
            }
        }
        #expect(names("7", "2", "serving:admin") == ["3:serving", "4:admin"])
        #expect(names("7", "2", nil) == ["3:unknown", "4:unknown"])
        #expect(names("8", "2", nil) == [])
        #expect(names("7", "-1", nil) == [])
        #expect(names(nil, nil, nil) == [])
    }
}
