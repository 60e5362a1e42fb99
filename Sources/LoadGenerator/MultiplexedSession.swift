//===----------------------------------------------------------------------===//
// HTTP/2 on one connection, apart from its socket.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOEmbedded
import NIOHPACK
import NIOHTTP2

/// What a server says on a connection of HTTP/2. Streams are named by their numbers.
enum MultiplexedEvent {
    /// Its settings have come, or changed: requests may be sent from now on.
    case settled
    /// A head, or the trailers.
    case head(stream: Int32, HPACKHeaders, isLast: Bool)
    case body(stream: Int32, ByteBuffer, isLast: Bool)
    /// The server has given the stream up.
    case reset(stream: Int32, reason: String)
    /// What came on the stream is not HTTP/2; it has been given up from here.
    case faulty(stream: Int32, reason: String)
    /// The server takes no stream above `last`, and has not looked at those that there are.
    case leaving(last: Int32, reason: String)
    /// What came is not HTTP/2: the connection is of no use any more.
    case broken(reason: String)
}

/// Turns what a connection receives into what a server says, and requests into what is to be sent.
///
/// NIOHTTP2's handler does the work (frames, HPACK, settings, pings, both flow controls), inside a channel that is
/// connected to nothing. Used on one thread. Events are taken one by one with `nextEvent`, and in between anything may
/// be called: nothing calls back from here.
final class MultiplexedSession {
    /// Streams at once on a connection whose server names no limit: the least that RFC 9113, section 6.5.2, recommends,
    /// and what NIOHTTP2 holds to.
    static let customaryStreamCount = 100
    /// Bytes that the server may send ahead, on a stream and on the connection. All that comes is taken in at once, so
    /// the window only has to be wide enough never to hold it up; h2load uses the same.
    static let customaryWindow = 1 << 30 - 1

    private let channel = EmbeddedChannel()
    private let frames: FrameCollector
    private let wire = WireCollector()
    private let largestStreamCount: Int
    private var nextStream: Int32 = 1
    /// The first bytes that came, to tell what the server speaks instead.
    private var opening: [UInt8] = []

    /// - Parameters:
    ///   - largestStreamCount: most streams at once, whatever more the server allows.
    ///   - window: bytes that the server may send ahead, more than 65,535.
    init(largestStreamCount: Int = .max, window: Int = customaryWindow) {
        self.largestStreamCount = largestStreamCount
        frames = FrameCollector(window: window)
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(parameter: .enablePush, value: 0),
            HTTP2Setting(parameter: .initialWindowSize, value: window),
            HTTP2Setting(parameter: .maxHeaderListSize, value: 64 << 10),
        ]
        // Lengths are checked with the answers, which tells too short from too long.
        connection.contentLengthValidation = .disabled
        // The defaults protect servers from clients. A server under load may well refuse thousands of streams, each of
        // which this client asked for; what it sends besides costs nothing here. A window of a nanosecond never fills.
        connection.maximumSequentialEmptyDataFrames = 10_000
        connection.maximumConnectionGlitches = .max
        connection.maximumRecentlyResetStreams = 4_096
        connection.controlFrameRateLimit.windowLength = .nanoseconds(1)
        var stream = NIOHTTP2Handler.StreamConfiguration()
        stream.streamResetFrameRateLimit.windowLength = .nanoseconds(1)
        stream.streamErrorRateLimit.windowLength = .nanoseconds(1)
        let handler = NIOHTTP2Handler(
            mode: .client, frameDelegate: frames, connectionConfiguration: connection, streamConfiguration: stream)
        // A pipeline that nobody has closed takes any handler.
        try! channel.pipeline.syncOperations.addHandlers([wire, handler, frames])
    }

    deinit {
        channel.close(promise: nil)
        channel.embeddedEventLoop.run()
    }

    /// Greets the server: the preface, this client's settings and its window. They are in `takeOutput`.
    func start() {
        channel.connect(to: MultiplexedSession.nowhere, promise: nil)
        let more = frames.window - 65_535
        write(HTTP2Frame(streamID: .rootStream, payload: .windowUpdate(windowSizeIncrement: more)))
        channel.pipeline.syncOperations.flush()
    }

    /// The channel wants an address to be connected to.
    private static let nowhere: SocketAddress = try! SocketAddress(ipAddress: "127.0.0.1", port: 1)

    // MARK: what comes

    /// Takes in what the connection received; what it means is in `nextEvent`.
    func receive(_ bytes: UnsafeRawBufferPointer) {
        guard !frames.isBroken else { return }
        if !frames.isSettled, opening.count < 5 { opening += bytes.prefix(5) }
        channel.pipeline.syncOperations.fireChannelRead(NIOAny(ByteBuffer(bytes: bytes)))
        channel.pipeline.syncOperations.fireChannelReadComplete()
    }

    func nextEvent() -> MultiplexedEvent? {
        guard let event = frames.events.popFirst() else { return nil }
        if case .broken(let reason) = event { return .broken(reason: faultOfOpening ?? reason) }
        return event
    }

    /// What is wrong with the first bytes, where they are not HTTP/2's; nil too if none have come.
    var faultOfOpening: String? {
        guard !frames.isSettled, !opening.isEmpty else { return nil }
        if opening.starts(with: "HTTP/".utf8) { return "the server answers in HTTP/1.1" }
        return "the connection does not begin with settings of HTTP/2"
    }

    // MARK: what goes

    /// Whether there is room for one more stream now.
    var canOpen: Bool { !isSpent && frames.openStreams.count < streamLimit }

    /// Most streams at once.
    var streamLimit: Int { min(frames.streamLimit, largestStreamCount) }

    /// Whether there will be no room for another stream: the server has said so, or the numbers are used up.
    var isSpent: Bool { frames.isLeaving || frames.isBroken || frames.streamLimit == 0 || nextStream >= Int32.max - 2 }

    /// Begins a stream with a request; there must be room for it. Returns the stream's number.
    func open(_ fields: HPACKHeaders, body: ByteBuffer?) -> Int32 {
        precondition(canOpen, "no room for a stream")
        let stream = nextStream
        nextStream += 2
        frames.openStreams.insert(stream)
        let id = HTTP2StreamID(stream)
        write(HTTP2Frame(streamID: id, payload: .headers(.init(headers: fields, endStream: body == nil))))
        if let body { write(HTTP2Frame(streamID: id, payload: .data(.init(data: .byteBuffer(body), endStream: true)))) }
        channel.pipeline.syncOperations.flush()
        return stream
    }

    /// Gives a stream up, if it is open.
    func reset(_ stream: Int32) {
        guard frames.openStreams.remove(stream) != nil, !frames.isBroken else { return }
        write(HTTP2Frame(streamID: HTTP2StreamID(stream), payload: .rstStream(.cancel)))
        channel.pipeline.syncOperations.flush()
    }

    /// Whether the socket takes no more at present. What can wait is held back until it does, in bounds.
    var isHeldBack = false {
        didSet {
            guard isHeldBack != oldValue else { return }
            channel.isWritable = !isHeldBack
            channel.pipeline.syncOperations.fireChannelWritabilityChanged()
        }
    }

    /// What is to be sent now; empty if nothing is.
    func takeOutput() -> [UInt8] {
        defer { wire.bytes = [] }
        return wire.bytes
    }

    private func write(_ frame: HTTP2Frame) {
        channel.pipeline.syncOperations.write(NIOAny(frame), promise: nil)
    }
}
