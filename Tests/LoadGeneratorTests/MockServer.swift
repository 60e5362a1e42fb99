//===----------------------------------------------------------------------===//
// A server inside the test that answers as told: with known delays, or broken in a known way.
//===----------------------------------------------------------------------===//

import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// How the mock answers a request.
enum MockBehaviour: Sendable {
    /// A stream of `chunks` chunks: the first after `ttft` nanoseconds, the others every `itl`.
    case stream(ttft: Int64, itl: Int64, chunks: Int, usage: MockUsage = .right)
    /// One JSON object after `delay`.
    case whole(delay: Int64, tokens: Int)
    /// A status with a body, and header lines.
    case status(Int, headers: String = "")
    /// Bytes as they are, then the connection is closed.
    case raw(String)
    /// Bytes as they are, then a text every millisecond without end.
    case drip(String, then: String)
    /// The connection is closed without a byte.
    case close
    /// Nothing at all.
    case silence
    /// A stream that breaks off: after `chunks` chunks the connection is closed, in the middle of a chunk.
    case halfChunk(chunks: Int)
    /// A stream that ends properly as HTTP, but without finish_reason and [DONE].
    case noEnd(chunks: Int)
    /// A stream with an event that is not JSON.
    case garbageEvent
    /// A stream with an error event.
    case errorEvent
    /// Two answers: the first with this status and Retry-After, the next as given.
    case busyFirst(status: Int = 503, retryAfter: Int)
}

enum MockUsage: Sendable {
    case right, missing, tooFew, tooMany, negative, null
}

/// Counts what the mock has seen.
final class MockCounts: Sendable {
    let requests = Atomic<Int>(0)
    let connections = Atomic<Int>(0)
    let bodies = Mutex<[String]>([])
    let aborted = Atomic<Int>(0)
    /// Nanoseconds from a request's arrival to its first token, as the mock itself saw them.
    let firstTokens = Mutex<[Int64]>([])
}

final class MockServer: Sendable {
    let port: Int
    let counts: MockCounts
    private let channel: any Channel
    private let group: MultiThreadedEventLoopGroup

    init(tls: NIOSSLContext? = nil, _ behaviour: @escaping @Sendable (Int) -> MockBehaviour) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let counts = MockCounts()
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4_096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    counts.connections.add(1, ordering: .relaxed)
                    if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
                    try channel.pipeline.syncOperations.addHandler(MockHandler(behaviour, counts))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        self.group = group
        self.counts = counts
        self.channel = channel
        port = channel.localAddress!.port!
    }

    var url: String { "http://127.0.0.1:\(port)" }

    func stop() async throws {
        try await channel.close().get()
        try await group.shutdownGracefully()
    }
}

private final class MockHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let behaviour: @Sendable (Int) -> MockBehaviour
    private let counts: MockCounts
    private var received = ByteBuffer()
    private var isAnswering = false

    init(_ behaviour: @escaping @Sendable (Int) -> MockBehaviour, _ counts: MockCounts) {
        self.behaviour = behaviour
        self.counts = counts
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let now = NIODeadline.now()
        received.writeImmutableBuffer(unwrapInboundIn(data))
        let text = String(buffer: received)
        guard let end = text.range(of: "\r\n\r\n"),
            let line = text.range(of: "Content-Length: "),
            let length = Int(text[line.upperBound...].prefix { $0.isNumber }),
            text.utf8.distance(from: end.upperBound, to: text.endIndex) >= length
        else { return }
        received.clear()
        let number = counts.requests.add(1, ordering: .relaxed).newValue - 1
        counts.bodies.withLock { if $0.count < 1_000 { $0.append(String(text[end.upperBound...])) } }
        isAnswering = true
        answer(behaviour(number), number, context, now)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if isAnswering { counts.aborted.add(1, ordering: .relaxed) }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(
        _ behaviour: MockBehaviour, _ number: Int, _ context: ChannelHandlerContext, _ start: NIODeadline
    ) {
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
        switch behaviour {
        case .stream(let ttft, let itl, let chunks, let usage):
            stream(context, head, start + .nanoseconds(ttft), itl, 0, chunks, usage, arrived: start)
        case .whole(let delay, let tokens):
            let body =
                "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":\"stop\"}],"
                + "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":\(tokens)}}"
            context.eventLoop.assumeIsolated().scheduleTask(deadline: start + .nanoseconds(delay)) {
                self.write(
                    context,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                )
                self.isAnswering = false
            }
        case .status(let status, let headers):
            let body = "{\"error\":{\"message\":\"no\"}}"
            write(
                context, "HTTP/1.1 \(status) Something\r\n\(headers)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
            isAnswering = false
        case .raw(let text):
            write(context, text)
            context.close(promise: nil)
        case .drip(let first, let text):
            write(context, first)
            drip(context, text)
        case .close: context.close(promise: nil)
        case .silence: break
        case .halfChunk(let chunks):
            write(context, head)
            for _ in 0..<chunks { write(context, framed(token)) }
            write(context, "40\r\ndata: {\"choi")
            context.close(promise: nil)
        case .noEnd(let chunks):
            write(context, head)
            for _ in 0..<chunks { write(context, framed(token)) }
            write(context, "0\r\n\r\n")
            isAnswering = false
        case .garbageEvent: write(context, head + framed(token) + framed("data: {oops\n\n"))
        case .errorEvent:
            write(
                context,
                head + framed(token) + framed("data: {\"error\":{\"message\":\"out of memory\"}}\n\n") + "0\r\n\r\n")
        case .busyFirst(let status, let retryAfter):
            if number == 0 {
                write(context, "HTTP/1.1 \(status) Busy\r\nRetry-After: \(retryAfter)\r\nContent-Length: 0\r\n\r\n")
                isAnswering = false
            } else {
                stream(context, head, start, 0, 0, 3, .right, arrived: start)
            }
        }
    }

    private func drip(_ context: ChannelHandlerContext, _ text: String) {
        guard context.channel.isActive else { return }
        write(context, text)
        context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(1)) { self.drip(context, text) }
    }

    private let token =
        "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n"

    private func framed(_ text: String) -> String { String(text.utf8.count, radix: 16) + "\r\n\(text)\r\n" }

    /// Writes chunk `index` at `due` and goes on; the first comes after a chunk with an empty delta, as servers send.
    private func stream(
        _ context: ChannelHandlerContext, _ head: String, _ due: NIODeadline, _ itl: Int64, _ index: Int, _ chunks: Int,
        _ usage: MockUsage, arrived: NIODeadline
    ) {
        if index == 0 {
            write(
                context,
                head
                    + framed(
                        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"
                    ))
        }
        let send = {
            var text = self.framed(self.token)
            if index + 1 == chunks {
                text += self.framed("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n")
                if let usage = self.usage(usage, chunks) {
                    text += self.framed("data: {\"choices\":[],\"usage\":\(usage)}\n\n")
                }
                text += self.framed("data: [DONE]\n\n") + "0\r\n\r\n"
                self.isAnswering = false
            }
            self.write(context, text)
            if index == 0 {
                let waited = (NIODeadline.now() - arrived).nanoseconds
                self.counts.firstTokens.withLock { $0.append(waited) }
            }
            guard index + 1 < chunks else { return }
            self.stream(context, head, due + .nanoseconds(itl), itl, index + 1, chunks, usage, arrived: arrived)
        }
        if due <= .now() { send() } else { context.eventLoop.assumeIsolated().scheduleTask(deadline: due) { send() } }
    }

    private func usage(_ usage: MockUsage, _ chunks: Int) -> String? {
        switch usage {
        case .right:
            "{\"prompt_tokens\":9,\"completion_tokens\":\(chunks),\"prompt_tokens_details\":{\"cached_tokens\":4}}"
        case .missing: nil
        case .null: "null"
        case .tooFew: "{\"prompt_tokens\":9,\"completion_tokens\":\(chunks - 1)}"
        case .tooMany: "{\"prompt_tokens\":9,\"completion_tokens\":1000000}"
        case .negative: "{\"prompt_tokens\":9,\"completion_tokens\":-3}"
        }
    }

    private func write(_ context: ChannelHandlerContext, _ text: String) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    }
}
