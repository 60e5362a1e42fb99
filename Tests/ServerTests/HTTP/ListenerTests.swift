//===----------------------------------------------------------------------===//
// Listeners of every kind, and the limits on what a client can make one hold.
//===----------------------------------------------------------------------===//

import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Testing

@testable import Server

@Suite(.serialized) struct ListenerTests {
    static let certificates = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/tls").path

    static let body = #"{"model":"m","prompt":"one two","max_tokens":4}"#

    // MARK: Kinds

    @Test func unixSocketServesAndIsLeftClean() async throws {
        let path = NSTemporaryDirectory() + "trainyard-\(UUID().uuidString.prefix(8)).sock"
        defer { try? FileManager.default.removeItem(atPath: path) }
        // A socket that a killed daemon left behind must not keep the next one from starting.
        for _ in 0..<2 {
            try await withServer(address: .unixSocket(path: path)) { server in
                try await onThread {
                    let client = try SocketClient(path: path)
                    for _ in 0..<3 {
                        try client.request("POST", "/v1/completions", body: Self.body)
                        #expect(try client.response().usage?["completion_tokens"] as? Int == 4)
                    }
                }
            }
        }
    }

    @Test func tlsServesWhoTrustsTheCertificateAndNobodyInTheClear() async throws {
        let prepare = try TLSFiles(
            certificate: Self.certificates + "/certificate.pem", key: Self.certificates + "/key.pem"
        ).handler()
        try await withServer(prepare: prepare) { server in
            let answer = try await Self.overTLS(port: server.port)
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(answer.contains("x-trainyard-modelled: true"))
            #expect(answer.contains(#""completion_tokens":4"#))
            let plain = try await onThread {
                let client = try SocketClient(port: server.port)
                try client.request("POST", "/v1/completions", body: Self.body)
                return try? client.response()
            }
            #expect(plain == nil, "a request in the clear was answered on a TLS listener")
        }
    }

    /// One request on a connection that ends with the answer.
    private static func overTLS(port: Int) async throws -> String {
        final class Gather: ChannelInboundHandler, Sendable {
            typealias InboundIn = ByteBuffer
            let text = Mutex("")
            func channelRead(context: ChannelHandlerContext, data: NIOAny) {
                let piece = String(buffer: unwrapInboundIn(data))
                text.withLock { $0 += piece }
            }
            func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
        }
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(certificates + "/certificate.pem"))
        let tls = try NIOSSLContext(configuration: configuration)
        let gather = Gather()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let channel = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        NIOSSLClientHandler(context: tls, serverHostname: "localhost"))
                    try channel.pipeline.syncOperations.addHandler(gather)
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        let request =
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        try await channel.writeAndFlush(ByteBuffer(string: request))
        try await channel.closeFuture.get()
        try await group.shutdownGracefully()
        return gather.text.withLock { $0 }
    }

    @Test func unusableTLSFilesAreNamed() {
        let error = #expect(throws: (any Error).self) {
            try TLSFiles(certificate: Self.certificates + "/certificate.pem", key: Self.certificates + "/none.pem")
                .handler()
        }
        #expect(error.map { "\($0)".contains("none.pem") } == true)
    }

    @Test func targetsWithAHostNameTheSamePath() async throws {
        for (target, path) in [
            ("/health", "/health"), ("/v1/models?a=/b", "/v1/models"), ("http://h:80/health?x", "/health"),
            ("HTTPS://h/a/b", "/a/b"), ("http://h", "/"), ("http://h?x=/y", "/"), ("*", "*"), ("//a", "//a"),
        ] {
            #expect(ServingHandler.path(of: target) == path, "\(target)")
        }
        try await withServer { server in
            try await onThread {
                let client = try SocketClient(port: server.port)
                try client.request("GET", "http://127.0.0.1:\(server.port)/health")
                #expect(try client.response().status == 200)
                try client.request("POST", "http://127.0.0.1/v1/completions?x", body: Self.body)
                #expect(try client.response().usage?["completion_tokens"] as? Int == 4)
            }
        }
    }

    // MARK: Limits

    @Test func aHeaderThatIsTooLargeIs431() async throws {
        try await withServer { server in
            try await onThread {
                let client = try SocketClient(port: server.port)
                // All of it can be sent, although the server has made up its mind before the end.
                try client.request("GET", "/health", headers: ["X-Long": String(repeating: "a", count: 200_000)])
                #expect(try client.response().status == 431)
                #expect(try client.waitForEnd())
                let other = try SocketClient(port: server.port)
                try other.request("GET", "/health", headers: ["X-Long": String(repeating: "a", count: 20_000)])
                #expect(try other.response().status == 200)
            }
        }
    }

    /// With a length announced, and without one in chunks.
    @Test(arguments: [true, false])
    func aBodyThatIsTooLargeIs413(_ isAnnounced: Bool) async throws {
        try await withServer(change: { $0.limits.bodyBytes = 2048 }) { server in
            try await onThread {
                let client = try SocketClient(port: server.port)
                if isAnnounced {
                    try client.send("POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n")
                    try client.send([UInt8](repeating: 0x78, count: 3_000_000))
                } else {
                    let chunk = String(repeating: "x", count: 1024)
                    try client.send("POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
                    for _ in 0..<3 { try client.send("400\r\n\(chunk)\r\n") }
                }
                let response = try client.response()
                #expect(response.status == 413 && response.errorCode == "request_too_large")
                #expect(try client.waitForEnd())
            }
            #expect(server.log.state.withLock { $0.submitted.isEmpty })
        }
    }

    @Test func streamsOfOneKeyAreLimitedAndOthersAreNot() async throws {
        try await withServer(
            behaviour: .init(holds: true),
            change: {
                $0.limits.streamsPerKey = 1
                $0.retryAfterSeconds = 3
                for name in ["a", "b"] { $0.keys.add(digest: KeyRing.digest(ofKey: name), tenant: 1, name: name) }
            }
        ) { server in
            try await onThread {
                func ask(_ key: String) throws -> SocketClient {
                    let client = try SocketClient(port: server.port)
                    try client.request(
                        "POST", "/v1/completions", body: Self.body, headers: ["Authorization": "Bearer \(key)"])
                    return client
                }
                func wait(_ count: Int) {
                    while server.log.state.withLock({ $0.submitted.count }) < count { usleep(1000) }
                }
                let first = try ask("a")
                wait(1)
                let refused = try ask("a").response()
                #expect(refused.status == 429 && refused.errorCode == "streams_per_key")
                #expect(refused.headers["retry-after"] == "3")
                let other = try ask("b")
                wait(2)
                _ = (first, other)
            }
            // Both clients are gone, so the key has room again.
            try await eventually("both were let go") { try await server.openExchanges() == 0 }
            try await onThread {
                let client = try SocketClient(port: server.port)
                try client.request(
                    "POST", "/v1/completions", body: Self.body, headers: ["Authorization": "Bearer a"])
                while server.log.state.withLock({ $0.submitted.count }) < 3 { usleep(1000) }
            }
        }
    }

    @Test func pipeliningBeyondTheLimitClosesTheConnection() async throws {
        try await withServer(behaviour: .init(holds: true)) { server in
            try await onThread {
                let client = try SocketClient(port: server.port)
                let one =
                    "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: \(Self.body.utf8.count)\r\n\r\n\(Self.body)"
                try client.send(String(repeating: one, count: 40))
                // The rest of what was sent is not read: the end may come as a reset.
                #expect((try? client.waitForEnd()) != false)
            }
            try await eventually("what ran was cancelled") { try await server.inFlight() == 0 }
        }
    }

    /// Every connection of a listener sends small writes at once: Nagle's algorithm would hold a token back until the one
    /// before it is acknowledged.
    @Test func connectionsDoNotDelaySmallWrites() async throws {
        let delays = Mutex<[SocketOptionValue]>([])
        try await withServer(
            prepare: { channel in
                let option = try channel.syncOptions?.getOption(.tcpOption(.tcp_nodelay))
                delays.withLock { $0.append(option ?? -1) }
            }
        ) { server in
            try await onThread {
                let client = try SocketClient(port: server.port)
                try client.request("GET", "/health")
                #expect(try client.response().status == 200)
            }
        }
        #expect(delays.withLock { $0 } == [1])
    }
}
