//===----------------------------------------------------------------------===//
// The two ends of the channel that HTTP/2 is spoken in.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOHPACK
import NIOHTTP2

/// Keeps what NIOHTTP2's handler makes of a server's bytes, and gives the server its window back.
///
/// The counts are those of the handler itself at any moment; events may lie here a while before they are looked at.
final class FrameCollector: ChannelInboundHandler, NIOHTTP2FrameDelegate {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    /// Bytes that the server may send ahead, on a stream and on the connection.
    let window: Int
    var events: CircularBuffer<MultiplexedEvent> = CircularBuffer(initialCapacity: 16)
    /// Streams on which either side may still send.
    var openStreams: Set<Int32> = []
    /// The server's SETTINGS_MAX_CONCURRENT_STREAMS.
    private(set) var streamLimit = MultiplexedSession.customaryStreamCount
    private(set) var isSettled = false
    private(set) var isLeaving = false
    private(set) var isBroken = false
    /// The stream that the handler has reset because of a fault which it is about to tell.
    private var faultyStream: Int32?

    init(window: Int) { self.window = window }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        let stream = Int32(frame.streamID)
        switch frame.payload {
        case .data(let content):
            guard case .byteBuffer(let bytes) = content.data else { return }
            events.append(.body(stream: stream, bytes, isLast: content.endStream))
        case .headers(let content):
            events.append(.head(stream: stream, content.headers, isLast: content.endStream))
        case .rstStream(let code):
            openStreams.remove(stream)
            events.append(.reset(stream: stream, reason: FrameCollector.name(of: code)))
        case .goAway(let last, let code, let debug):
            isLeaving = true
            var reason = "GOAWAY, \(FrameCollector.name(of: code))"
            if let debug, debug.readableBytes > 0 { reason += ": " + FrameCollector.excerpt(debug) }
            events.append(.leaving(last: Int32(last), reason: reason))
        case .settings(.settings(let settings)): take(settings)
        case .settings(.ack), .ping, .priority, .pushPromise, .windowUpdate, .alternativeService, .origin: break
        }
    }

    private func take(_ settings: HTTP2Settings) {
        for setting in settings where setting.parameter == .maxConcurrentStreams { streamLimit = setting.value }
        isSettled = true
        events.append(.settled)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? NIOHTTP2WindowUpdatedEvent {
            guard let left = event.inboundWindowSize, left < window / 2, !isBroken else { return }
            // The connection's window begins small and is told of before this client's greeting has widened it.
            let more = window - left
            let frame = HTTP2Frame(streamID: event.streamID, payload: .windowUpdate(windowSizeIncrement: more))
            context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
        } else if let event = event as? StreamClosedEvent {
            openStreams.remove(Int32(event.streamID))
        }
    }

    /// A fault of one stream comes after its reset was written; without one it is a fault of the connection.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? NIOHTTP2Errors.StreamError {
            faultyStream = nil
            openStreams.remove(Int32(error.streamID))
            events.append(.faulty(stream: Int32(error.streamID), reason: "\(error.baseError)"))
        } else if let stream = faultyStream {
            faultyStream = nil
            openStreams.remove(stream)
            events.append(.faulty(stream: stream, reason: "\(error)"))
        } else if !isBroken {
            isBroken = true
            events.append(.broken(reason: "\(error)"))
        }
    }

    func wroteFrame(_ frame: HTTP2Frame) {
        // A stream that was given up from here is not open any more when its reset is written.
        guard case .rstStream = frame.payload, openStreams.contains(Int32(frame.streamID)) else { return }
        faultyStream = Int32(frame.streamID)
    }

    /// As RFC 9113, section 7, writes it.
    private static func name(of code: HTTP2ErrorCode) -> String {
        let names = [
            "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
            "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
        ]
        let number = Int(http2ErrorCode: code)
        return names.indices.contains(number) ? names[number] : "error \(number)"
    }

    private static func excerpt(_ bytes: ByteBuffer) -> String {
        let shown = bytes.readableBytesView.prefix(160).map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: " ") : $0 }
        return String(decoding: shown, as: UTF8.self)
    }
}

/// Keeps the bytes that are to be sent.
final class WireCollector: ChannelOutboundHandler {
    typealias OutboundIn = IOData

    var bytes: [UInt8] = []

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .byteBuffer(let buffer) = unwrapOutboundIn(data) {
            buffer.withUnsafeReadableBytes { bytes.append(contentsOf: $0) }
        }
        promise?.succeed(())
    }

    func flush(context: ChannelHandlerContext) {}
}
