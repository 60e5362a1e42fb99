//===----------------------------------------------------------------------===//
// A server of HTTP/2 inside the test that answers as told: with known delays, or broken in a known way.
//===----------------------------------------------------------------------===//

import Foundation
import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import NIOSSL
import Synchronization

/// How the mock answers a request.
enum MultiplexedBehaviour: Sendable {
    enum Ending: Sendable {
        case reset(HTTP2ErrorCode)
        case close, silence
        /// The stream ends properly as HTTP, but without finish_reason and [DONE].
        case end
    }

    /// A stream of `chunks` chunks: the first after `ttft` nanoseconds, the others every `itl`.
    case stream(ttft: Int64, itl: Int64, chunks: Int)
    /// Fields and a body as they are, trailers if there are any.
    case answer([(String, String)], body: String, trailers: [(String, String)] = [])
    /// A head and so many chunks, and then something else.
    case begin(chunks: Int, then: Ending)
    case reset(HTTP2ErrorCode)
    /// The connection takes no more streams: with `takesThis` this one is answered yet.
    case goAway(takesThis: Bool)
    case close
    case silence
}

/// Counts what the mock has seen.
final class MultiplexedCounts: Sendable {
    let requests = Atomic<Int>(0)
    let connections = Atomic<Int>(0)
    /// Streams that the client gave up.
    let resets = Atomic<Int>(0)
    /// Most streams at once, of any connection.
    let mostStreams = Atomic<Int>(0)
    let largestFrame = Atomic<Int>(0)
    let fields = Mutex<[HPACKHeaders]>([])
    let bodies = Mutex<[String]>([])
    /// Nanoseconds from a request's arrival to its first token, as the mock itself saw them.
    let firstTokens = Mutex<[Int64]>([])
}

final class MultiplexedMock: Sendable {
    let port: Int
    let counts = MultiplexedCounts()
    private let channel: any Channel
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// - Parameters:
    ///   - path: a Unix socket to listen on instead.
    ///   - limit: its SETTINGS_MAX_CONCURRENT_STREAMS; nil leaves that out.
    ///   - window: bytes that a client may send ahead on a stream.
    init(
        tls: NIOSSLContext? = nil, path: String? = nil, limit: Int? = 250, window: Int = 65_535,
        _ behaviour: @escaping @Sendable (Int) -> MultiplexedBehaviour
    ) async throws {
        var settings: HTTP2Settings = [HTTP2Setting(parameter: .initialWindowSize, value: window)]
        if let limit { settings.append(HTTP2Setting(parameter: .maxConcurrentStreams, value: limit)) }
        let (counts, fixed) = (counts, settings)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4_096)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    counts.connections.add(1, ordering: .relaxed)
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
                    var connection = NIOHTTP2Handler.ConnectionConfiguration()
                    connection.initialSettings = fixed
                    connection.contentLengthValidation = .disabled
                    connection.headerBlockValidation = .disabled
                    var stream = NIOHTTP2Handler.StreamConfiguration()
                    stream.streamResetFrameRateLimit.maximumCount = 100_000
                    try pipeline.addHandler(
                        NIOHTTP2Handler(
                            mode: .server, connectionConfiguration: connection, streamConfiguration: stream))
                    try pipeline.addHandler(MultiplexedMockHandler(behaviour, counts, window: window))
                }
            }
        if let path {
            channel = try await bootstrap.bind(unixDomainSocketPath: path).get()
        } else {
            channel = try await bootstrap.bind(host: "127.0.0.1", port: 0).get()
        }
        port = channel.localAddress?.port ?? 0
    }

    var url: String { "http://127.0.0.1:\(port)" }

    func stop() async throws {
        try await channel.close().get()
        try await group.shutdownGracefully()
    }
}

private final class MultiplexedMockHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private let behaviour: @Sendable (Int) -> MultiplexedBehaviour
    private let counts: MultiplexedCounts
    /// Bodies of the requests on their way.
    private var bodies: [HTTP2StreamID: String] = [:]
    private var open: Set<HTTP2StreamID> = []
    /// The last stream that is taken, once this connection goes away.
    private var lastStream: HTTP2StreamID?

    private let window: Int

    init(_ behaviour: @escaping @Sendable (Int) -> MultiplexedBehaviour, _ counts: MultiplexedCounts, window: Int) {
        self.behaviour = behaviour
        self.window = window
        self.counts = counts
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        let id = frame.streamID
        if let lastStream, id > lastStream { return }
        switch frame.payload {
        case .headers(let content):
            open.insert(id)
            counts.mostStreams.max(open.count, ordering: .relaxed)
            counts.fields.withLock { if $0.count < 1_000 { $0.append(content.headers) } }
            bodies[id] = ""
            if content.endStream { asked(id, context) }
        case .data(let content):
            guard case .byteBuffer(let bytes) = content.data else { return }
            counts.largestFrame.max(bytes.readableBytes, ordering: .relaxed)
            bodies[id, default: ""] += String(buffer: bytes)
            if bytes.readableBytes > 0 {
                write(context, .rootStream, .windowUpdate(windowSizeIncrement: bytes.readableBytes))
                if !content.endStream { write(context, id, .windowUpdate(windowSizeIncrement: bytes.readableBytes)) }
            }
            if content.endStream { asked(id, context) }
        case .settings(.settings):
            // The connection's window is to be no narrower than a stream's.
            if window > 65_535 { write(context, .rootStream, .windowUpdate(windowSizeIncrement: window - 65_535)) }
        case .rstStream:
            open.remove(id)
            counts.resets.add(1, ordering: .relaxed)
        default: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        print("MOCK", error); context.close(promise: nil)
    }

    private func asked(_ id: HTTP2StreamID, _ context: ChannelHandlerContext) {
        let number = counts.requests.add(1, ordering: .relaxed).newValue - 1
        let body = bodies.removeValue(forKey: id) ?? ""
        counts.bodies.withLock { if $0.count < 1_000 { $0.append(body) } }
        switch behaviour(number) {
        case .stream(let ttft, let itl, let chunks):
            let now = NIODeadline.now()
            head(context, id, [(":status", "200"), ("content-type", "text/event-stream; charset=utf-8")])
            text(context, id, "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n")
            stream(context, id, now + .nanoseconds(ttft), itl, 0, chunks, arrived: now)
        case .answer(let fields, let body, let trailers):
            head(context, id, fields, ends: body.isEmpty && trailers.isEmpty)
            if !body.isEmpty { text(context, id, body, ends: trailers.isEmpty) }
            if !trailers.isEmpty { head(context, id, trailers, ends: true) }
        case .begin(let chunks, let ending):
            head(context, id, [(":status", "200"), ("content-type", "text/event-stream")])
            for _ in 0..<chunks { text(context, id, token) }
            end(context, id, ending)
        case .reset(let code): end(context, id, .reset(code))
        case .goAway(let takesThis):
            let last = takesThis ? id : HTTP2StreamID(max(0, Int(id) - 2))
            lastStream = last
            if takesThis {
                head(context, id, [(":status", "200"), ("content-type", "text/event-stream")])
                stream(context, id, .now() + .milliseconds(5), 0, 0, 4, arrived: .now())
            }
            sendGoAway(last, context)
        case .close: context.close(promise: nil)
        case .silence: break
        }
    }

    /// Behind the back of NIO's handler, which would take what still comes on later streams for an error.
    private func sendGoAway(_ last: HTTP2StreamID, _ context: ChannelHandlerContext) {
        let number = UInt32(Int32(last))
        let frame = RawFrame.frame(
            type: 7, stream: 0, (0..<4).map { UInt8(number >> (24 - 8 * $0) & 255) } + [0, 0, 0, 0])
        let handler = try? context.pipeline.syncOperations.context(handlerType: NIOHTTP2Handler.self)
        handler?.writeAndFlush(NIOAny(IOData.byteBuffer(ByteBuffer(bytes: frame))), promise: nil)
    }

    private func end(_ context: ChannelHandlerContext, _ id: HTTP2StreamID, _ ending: MultiplexedBehaviour.Ending) {
        switch ending {
        case .reset(let code):
            open.remove(id)
            write(context, id, .rstStream(code))
        case .close: context.close(promise: nil)
        case .end: text(context, id, "", ends: true)
        case .silence: break
        }
    }

    private let token =
        "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n"

    /// Writes chunk `index` at `due` and goes on.
    private func stream(
        _ context: ChannelHandlerContext, _ id: HTTP2StreamID, _ due: NIODeadline, _ itl: Int64, _ index: Int,
        _ chunks: Int, arrived: NIODeadline
    ) {
        let send = {
            guard self.open.contains(id), context.channel.isActive else { return }
            if index == 0 { self.counts.firstTokens.withLock { $0.append((.now() - arrived).nanoseconds) } }
            guard index + 1 == chunks else {
                self.text(context, id, self.token)
                return self.stream(context, id, due + .nanoseconds(itl), itl, index + 1, chunks, arrived: arrived)
            }
            let usage =
                "{\"prompt_tokens\":9,\"completion_tokens\":\(chunks),\"prompt_tokens_details\":{\"cached_tokens\":4}}"
            let last = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n"
            self.text(
                context, id,
                self.token + last + "data: {\"choices\":[],\"usage\":\(usage)}\n\ndata: [DONE]\n\n", ends: true)
        }
        if due <= .now() { send() } else { context.eventLoop.assumeIsolated().scheduleTask(deadline: due) { send() } }
    }

    private func head(
        _ context: ChannelHandlerContext, _ id: HTTP2StreamID, _ fields: [(String, String)], ends: Bool = false
    ) {
        if ends { open.remove(id) }
        write(context, id, .headers(.init(headers: HPACKHeaders(fields), endStream: ends)))
    }

    private func text(_ context: ChannelHandlerContext, _ id: HTTP2StreamID, _ text: String, ends: Bool = false) {
        if ends { open.remove(id) }
        write(context, id, .data(.init(data: .byteBuffer(ByteBuffer(string: text)), endStream: ends)))
    }

    private func write(_ context: ChannelHandlerContext, _ id: HTTP2StreamID, _ payload: HTTP2Frame.FramePayload) {
        context.writeAndFlush(wrapOutboundOut(HTTP2Frame(streamID: id, payload: payload)), promise: nil)
    }
}
