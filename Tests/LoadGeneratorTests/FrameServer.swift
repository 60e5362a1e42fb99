//===----------------------------------------------------------------------===//
// A server inside the test that sends bytes as they are to clients of HTTP/2.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOPosix
import Synchronization

/// Frames of HTTP/2 as bytes, right ones and wrong ones.
enum RawFrame {
    static let settings = frame(type: 4, stream: 0, [])
    /// `:status: 200`, which HPACK has in its static table, and a content type without a place there.
    static let head: [UInt8] = [0x88] + literal("content-type", "text/event-stream")

    static func frame(type: UInt8, flags: UInt8 = 0, stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
        let length = payload.count
        return [UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255), type, flags]
            + (0..<4).map { UInt8(stream >> (24 - 8 * $0) & 255) } + payload
    }

    /// A header field without indexing and without Huffman's code; up to 126 bytes of each.
    static func literal(_ name: String, _ value: String) -> [UInt8] {
        [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
    }

    static func headers(_ block: [UInt8] = head, stream: UInt32 = 1, ends: Bool = false) -> [UInt8] {
        frame(type: 1, flags: ends ? 5 : 4, stream: stream, block)
    }

    static func data(_ text: String, stream: UInt32 = 1, ends: Bool = false) -> [UInt8] {
        frame(type: 0, flags: ends ? 1 : 0, stream: stream, Array(text.utf8))
    }
}

/// Types of the frames that the latest client has sent, in order.
final class ReceivedFrames: Sendable {
    let types = Mutex<[UInt8]>([])
}

/// Sends `greeting` to whoever connects, and `answer` when the first request is complete; then it may hang up.
final class FrameServer: Sendable {
    let port: Int
    let received = ReceivedFrames()
    private let channel: any Channel
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// - Parameter waitsForBody: whether a request is complete with its body, or with its head already.
    init(greeting: [UInt8], answer: [UInt8] = [], closes: Bool = false, waitsForBody: Bool = true) async throws {
        let received = received
        channel = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        FrameServerHandler(greeting, answer, closes, lastOfRequest: waitsForBody ? 0 : 1, received))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress!.port!
    }

    var url: String { "http://127.0.0.1:\(port)" }

    func stop() async throws {
        try await channel.close().get()
        try await group.shutdownGracefully()
    }
}

private final class FrameServerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let greeting: [UInt8]
    private let answer: [UInt8]
    private let closes: Bool
    private var received: [UInt8] = []
    private var hasGreeted = false
    private var hasAnswered = false

    /// The type of frame that makes a request complete.
    private let lastOfRequest: UInt8
    private let frames: ReceivedFrames

    init(
        _ greeting: [UInt8], _ answer: [UInt8], _ closes: Bool, lastOfRequest: UInt8,
        _ frames: ReceivedFrames
    ) {
        self.greeting = greeting
        self.answer = answer
        self.closes = closes
        self.lastOfRequest = lastOfRequest
        self.frames = frames
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += unwrapInboundIn(data).readableBytesView
        if !hasGreeted {
            hasGreeted = true
            write(context, greeting)
            if answer.isEmpty, closes { return context.close(promise: nil) }
        }
        let types = frameTypes
        frames.types.withLock { $0 = types }
        guard !hasAnswered, !answer.isEmpty, types.contains(lastOfRequest) else { return }
        hasAnswered = true
        write(context, answer)
        if closes { context.close(promise: nil) }
    }

    /// Types of the whole frames behind the client's preface.
    private var frameTypes: [UInt8] {
        var types: [UInt8] = []
        var position = 24
        while position + 9 <= received.count {
            let length = Int(received[position]) << 16 | Int(received[position + 1]) << 8 | Int(received[position + 2])
            guard position + 9 + length <= received.count else { break }
            types.append(received[position + 3])
            position += 9 + length
        }
        return types
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func write(_ context: ChannelHandlerContext, _ bytes: [UInt8]) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }
}
