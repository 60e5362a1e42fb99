//===----------------------------------------------------------------------===//
// What one client may take of the server, and how connections end.
//===----------------------------------------------------------------------===//

import Foundation
import NIOCore
import Synchronization
import Testing

@testable import Server

@Suite(.serialized) struct ServingLimitTests {
    @Test func drainFinishesWhatRunsAndRefusesTheRest() async throws {
        try await withServer(behaviour: .init(gap: .milliseconds(3))) { server in
            let running = Task {
                try await onThread {
                    let client = try SocketClient(port: server.port)
                    try client.request(
                        "POST", "/v1/chat/completions",
                        body: ServingHandlerTests.chat(#""max_tokens":100,"stream":true"#))
                    return (try client.response(), try client.waitForEnd())
                }
            }
            try await eventually("the stream has begun") { server.counters.read(.writes) > 3 }
            let late = try await onThread {
                let client = try SocketClient(port: server.port)
                try client.request("GET", "/health")
                #expect(try client.response().status == 200)
                return client
            }
            let fresh = try await onThread { try SocketClient(port: server.port) }
            try await eventually("all connected") { server.counters.read(.connectionsOpened) == 3 }
            _ = try await server.fronts.onEach { $0.drain(whenIdle: {}) }
            let (response, isClosed) = try await running.value
            #expect(response.deltas.filter { !$0.isEmpty }.count == 100)
            #expect(isClosed)
            // The idle connection was closed at once; the one that had not said anything yet is answered first.
            #expect(try await onThread { try late.waitForEnd() })
            try await onThread {
                try fresh.request("POST", "/v1/chat/completions", body: ServingHandlerTests.chat(#""max_tokens":3"#))
                #expect(try fresh.response().status == 200)
                #expect(try fresh.waitForEnd())
            }
        }
    }

    /// A kept connection whose next request was on its way when the drain began is told to go elsewhere.
    @Test func drainRefusesTheNextRequestOfAKeptConnection() async throws {
        try await withServer { server in
            let body = ServingHandlerTests.chat(#""max_tokens":2"#)
            let client = try await onThread {
                let client = try SocketClient(port: server.port)
                try client.request("POST", "/v1/chat/completions", body: body)
                #expect(try client.response().status == 200)
                try client.send(
                    "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n{")
                return client
            }
            try await Task.sleep(for: .milliseconds(100))
            _ = try await server.fronts.onEach { $0.drain(whenIdle: {}) }
            let response = try await onThread {
                try client.send(String(body.dropFirst()))
                return try client.response()
            }
            #expect(
                response.status == 503 && response.errorCode == "draining" && response.headers["retry-after"] == "1")
            #expect(try await onThread { try client.waitForEnd() })
        }
    }

    @Test func stalledReaderHoldsNoMemoryAndIsClosed() async throws {
        try await withServer(
            behaviour: .init(isInstant: true),
            change: {
                $0.models = [ServedModel(name: "m", maxModelTokens: 400_000)]
                $0.limits.stallSeconds = 0.3
            }
        ) { server in
            let client = try await onThread {
                let client = try SocketClient(port: server.port, receiveBufferBytes: 4096)
                try client.request(
                    "POST", "/v1/chat/completions",
                    body: ServingHandlerTests.chat(#""max_tokens":300000,"stream":true"#))
                return client
            }
            // 300,000 tokens are about 60 MB of chunks; what the server has written stays near its buffers' sizes.
            try await eventually("something was written") { server.counters.read(.bytesWritten) > 10_000 }
            try await Task.sleep(for: .milliseconds(400))
            #expect(server.counters.read(.bytesWritten) < 8_000_000)
            // The fleet has long done its part: a reader that takes nothing holds no replica.
            #expect(try await server.inFlight() == 0)
            #expect(try await server.openExchanges() == 1)
            try await server.tick()
            try await eventually("the stalled reader is closed") {
                try await server.tick()
                return server.counters.read(.slowReadersClosed) == 1
            }
            _ = client
        }
    }

    @Test func slowSendersAreClosed() async throws {
        try await withServer(change: { $0.limits.receiveSeconds = 0.2 }) { server in
            let client = try await onThread {
                let client = try SocketClient(port: server.port)
                try client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n{")
                return client
            }
            try await eventually("the slow sender is closed") {
                try await server.tick()
                return server.counters.read(.slowSendersClosed) == 1
            }
            #expect(try await onThread { try client.waitForEnd() })
        }
    }

    /// Also one that a reload has set.
    @Test func connectionLimitHolds() async throws {
        try await withServer { server in
            _ = try await server.fronts.onEach { $0.settings.limits.connections = 2 }
            try await onThread {
                let kept = try (0..<2).map { _ in try SocketClient(port: server.port) }
                for client in kept {
                    try client.request("GET", "/health")
                    #expect(try client.response().status == 200)
                }
                let third = try SocketClient(port: server.port)
                #expect((try? third.waitForEnd()) != false)
                try kept[0].request("GET", "/health")
                #expect(try kept[0].response().status == 200)
            }
        }
    }

    /// What one body can make its event loop do before the streams beside it get their turn is bounded.
    @Test func repliesThatTakeTheLoopTooLongAreRefused() async throws {
        try await withServer(
            behaviour: .init(holds: true), change: { $0.models = [ServedModel(name: "m", maxModelTokens: 200_000)] }
        ) { server in
            try await onThread {
                let client = try SocketClient(port: server.port)
                let stops = (0..<16).map { #""never \#($0)""# }.joined(separator: ",")
                let cases: [(String, String)] = [
                    (#""n":128,"max_tokens":100000,"stream":true,"stop":[\#(stops)]"#, "stop"),
                    (#""n":128,"max_tokens":100000"#, "stream"),
                ]
                for (more, field) in cases {
                    try client.request("POST", "/v1/chat/completions", body: ServingHandlerTests.chat(more))
                    let response = try client.response()
                    let error = response.json?["error"] as? [String: Any]
                    #expect(response.status == 400 && error?["param"] as? String == field, "\(response.text)")
                }
            }
            #expect(server.log.state.withLock { $0.submitted.isEmpty }, "nothing of it is left in the fleet")
            try await onThread {
                let client = try SocketClient(port: server.port)
                try client.request(
                    "POST", "/v1/chat/completions",
                    body: ServingHandlerTests.chat(#""n":4,"max_tokens":5000,"stream":true,"stop":["never this"]"#))
                while server.log.state.withLock({ $0.submitted.count }) < 4 { usleep(1000) }
            }
        }
    }
}
