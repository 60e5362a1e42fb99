import NIOCore
import NIOEmbedded
import NIOHPACK
import NIOHTTP2
import Testing
import Workload

@testable import LoadGenerator

/// HTTP/2 without a socket: what a session makes of bytes, right ones and wrong ones.
@Suite struct MultiplexedSessionTests {
    private static let event = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
    private static let fields = RequestFields.sample

    /// The bytes of a server that answers three requests: one whole, one with trailers, one reset; pings, window
    /// updates, settings once more and a GOAWAY between them.
    private static let conversation: (bytes: [UInt8], greeting: Int) = {
        let server = EmbeddedChannel()
        let client = MultiplexedSession()
        var bytes: [UInt8] = []
        var greeting = 0
        func exchange() throws {
            try server.writeInbound(ByteBuffer(bytes: client.takeOutput()))
            while let part = try server.readOutbound(as: IOData.self) {
                guard case .byteBuffer(let buffer) = part else { continue }
                bytes += buffer.readableBytesView
                buffer.withUnsafeReadableBytes { client.receive($0) }
            }
            while try server.readInbound(as: HTTP2Frame.self) != nil {}
            while client.nextEvent() != nil {}
        }
        do {
            try server.pipeline.syncOperations.addHandler(NIOHTTP2Handler(mode: .server))
            try server.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            client.start()
            try exchange()
            greeting = bytes.count
            for _ in 0..<3 { _ = client.open(fields.fields(bodyLength: 2), body: ByteBuffer(string: "{}")) }
            try exchange()
            let head = HPACKHeaders([(":status", "200"), ("content-type", "text/event-stream"), ("x", "y")])
            for id in [1, 3, 5] as [HTTP2StreamID] {
                server.write(HTTP2Frame(streamID: id, payload: .headers(.init(headers: head))), promise: nil)
                for _ in 0..<4 {
                    let data = IOData.byteBuffer(ByteBuffer(string: event))
                    server.write(HTTP2Frame(streamID: id, payload: .data(.init(data: data))), promise: nil)
                }
                server.write(
                    HTTP2Frame(streamID: .rootStream, payload: .ping(HTTP2PingData(withInteger: 7), ack: false)),
                    promise: nil)
                server.flush()
                try exchange()
            }
            let done = IOData.byteBuffer(ByteBuffer(string: "data: [DONE]\n\n"))
            let endings: [HTTP2Frame] = [
                HTTP2Frame(streamID: .rootStream, payload: .settings(.settings([]))),
                HTTP2Frame(streamID: .rootStream, payload: .windowUpdate(windowSizeIncrement: 9)),
                HTTP2Frame(streamID: 1, payload: .data(.init(data: done, endStream: true))),
                HTTP2Frame(streamID: 3, payload: .headers(.init(headers: ["t": "u"], endStream: true))),
                HTTP2Frame(streamID: 5, payload: .rstStream(.cancel)),
                HTTP2Frame(
                    streamID: .rootStream,
                    payload: .goAway(lastStreamID: 5, errorCode: .noError, opaqueData: ByteBuffer(string: "bye"))),
            ]
            for frame in endings {
                server.writeAndFlush(frame, promise: nil)
                try exchange()
            }
        } catch {
            Issue.record("the conversation cannot be held: \(error)")
        }
        return (bytes, greeting)
    }()

    /// Feeds `bytes` in pieces of random size to a session with three requests; returns what it says, with the parts
    /// of a body put together. With `givesUp` it gives streams up at any time.
    private func events(
        of bytes: [UInt8], _ random: inout RandomStream, largestPiece: UInt64, givesUp: Bool = true
    ) -> [String] {
        let session = MultiplexedSession()
        var found: [String] = []
        var opened = 0
        session.start()
        var position = 0
        while position < bytes.count {
            // Requests go out when the greeting has come, and answers after that.
            let end = position < Self.conversation.greeting ? Self.conversation.greeting : bytes.count
            let count = max(0, min(end, bytes.count) - position)
            let piece = min(count, 1 + Int(random.below(largestPiece)))
            bytes[position..<position + piece].withUnsafeBytes { session.receive($0) }
            position += piece
            while let event = session.nextEvent() {
                switch event {
                case .settled:
                    while opened < 3, session.canOpen {
                        _ = session.open(Self.fields.fields(bodyLength: 2), body: ByteBuffer(string: "{}"))
                        opened += 1
                    }
                    found.append("settled")
                case .head(let stream, let fields, let isLast): found.append("\(stream) \(fields.count) \(isLast)")
                case .body(let stream, let bytes, let isLast):
                    let name = "\(stream) body "
                    if found.last?.hasPrefix(name) != true { found.append(name) }
                    found[found.count - 1] += String(buffer: bytes) + (isLast ? " last" : "")
                case .reset(let stream, let reason): found.append("\(stream) reset \(reason)")
                case .faulty(let stream, let reason): found.append("\(stream) faulty \(reason)")
                case .leaving(let last, let reason): found.append("leaving \(last) \(reason)")
                case .broken(let reason): found.append("broken \(reason)")
                }
            }
            if givesUp, random.below(50) == 0 { session.reset(Int32(random.below(4)) * 2 + 1) }
            _ = session.takeOutput()
        }
        return found
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func eventsAreTheSameHoweverTheyAreCut(seed: UInt64) {
        var random = RandomStream(seed: seed)
        let found = events(
            of: Self.conversation.bytes, &random, largestPiece: 1 + random.below(200), givesUp: false)
        let body = String(repeating: Self.event, count: 4)
        let expected = [
            "settled", "1 3 false", "1 body \(body)", "3 3 false", "3 body \(body)", "5 3 false", "5 body \(body)",
            "settled", "1 body data: [DONE]\n\n last", "3 1 true", "5 reset CANCEL",
            "leaving 5 GOAWAY, NO_ERROR: bye",
        ]
        #expect(found == expected, "seed \(seed)")
    }

    @Test(arguments: 1...400 as ClosedRange<UInt64>)
    func wrongBytesNeverCrash(seed: UInt64) {
        var random = RandomStream(seed: seed)
        var bytes = Self.conversation.bytes
        switch random.below(4) {
        case 0: bytes = (0..<500).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        case 1: bytes.removeSubrange(Int(random.below(UInt64(bytes.count)))...)
        case 2:
            // A piece is missing, or comes twice.
            let start = Int(random.below(UInt64(bytes.count)))
            let piece = Array(bytes[start..<min(bytes.count, start + Int(random.below(100)))])
            if random.below(2) == 0 {
                bytes.removeSubrange(start..<start + piece.count)
            } else {
                bytes.insert(contentsOf: piece, at: start)
            }
        default: break
        }
        for _ in 0..<random.below(8) where !bytes.isEmpty {
            bytes[Int(random.below(UInt64(bytes.count)))] = UInt8(truncatingIfNeeded: random.next())
        }
        // Reaching the end of this is what is tested.
        let found = events(of: bytes, &random, largestPiece: 1 + random.below(300))
        #expect(found.count { $0.hasPrefix("broken") } <= 1, "seed \(seed)")
    }

    /// Valid frames in no sensible order, which get further into the protocol than noise does.
    @Test(arguments: 1...300 as ClosedRange<UInt64>)
    func framesInAnyOrderNeverCrash(seed: UInt64) {
        var random = RandomStream(seed: seed)
        var bytes = RawFrame.settings
        for _ in 0..<40 {
            let stream = UInt32(random.below(8))
            let number = (0..<4).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            switch random.below(9) {
            case 0: bytes += RawFrame.headers(stream: stream, ends: random.below(3) == 0)
            case 1: bytes += RawFrame.data(Self.event, stream: stream, ends: random.below(3) == 0)
            case 2: bytes += RawFrame.frame(type: 3, stream: stream, number)
            case 3: bytes += RawFrame.frame(type: 4, stream: 0, [0, UInt8(random.below(9))] + number)
            case 4: bytes += RawFrame.frame(type: 8, stream: stream, number)
            case 5: bytes += RawFrame.frame(type: 6, flags: UInt8(random.below(2)), stream: 0, number + number)
            case 6: bytes += RawFrame.frame(type: 4, flags: 1, stream: 0, [])
            case 7: bytes += random.below(8) == 0 ? RawFrame.frame(type: 7, stream: 0, number + number) : []
            default:
                let payload = (0..<random.below(20)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                bytes += RawFrame.frame(
                    type: UInt8(random.below(12)), flags: UInt8(truncatingIfNeeded: random.next()), stream: stream,
                    payload)
            }
        }
        _ = events(of: bytes, &random, largestPiece: 1 + random.below(300))
    }

    /// A server may send on and on: its windows are refilled, that of the stream and that of the connection.
    @Test func windowsAreRefilled() {
        let session = MultiplexedSession(window: 100_000)
        session.start()
        (RawFrame.settings + RawFrame.frame(type: 4, flags: 1, stream: 0, [])).withUnsafeBytes { session.receive($0) }
        _ = session.open(Self.fields.fields(bodyLength: nil), body: nil)
        RawFrame.headers().withUnsafeBytes { session.receive($0) }
        let data = RawFrame.data(String(repeating: "x", count: 10_000))
        var received = 0
        for _ in 0..<100 {
            data.withUnsafeBytes { session.receive($0) }
            while let event = session.nextEvent() {
                if case .body(1, let bytes, _) = event { received += bytes.readableBytes }
                if case .broken(let reason) = event { Issue.record("\(reason)") }
            }
        }
        #expect(received == 1_000_000)
    }

    /// Pings and settings are answered, and what a socket does not take is held back in bounds.
    @Test func aSocketThatTakesNothingHoldsTheSessionBack() {
        let session = MultiplexedSession()
        session.start()
        RawFrame.settings.withUnsafeBytes { session.receive($0) }
        _ = session.takeOutput()
        session.isHeldBack = true
        let pings = Array(
            (0..<5_000).map { _ in RawFrame.frame(type: 6, stream: 0, Array(repeating: 1, count: 8)) }.joined())
        pings.withUnsafeBytes { session.receive($0) }
        #expect(session.takeOutput().isEmpty)
        session.isHeldBack = false
        #expect(session.takeOutput().count == 5_000 * 17)
        session.isHeldBack = true
        for _ in 0..<3 { pings.withUnsafeBytes { session.receive($0) } }
        var last: MultiplexedEvent?
        while let event = session.nextEvent() { last = event }
        guard case .broken = last else {
            Issue.record("15,000 answers that nobody takes are too many, not \(String(describing: last))")
            return
        }
    }
}

extension RequestFields {
    /// Those of a request to nobody.
    static let sample = try! RequestFields("POST", LoadTarget(parsing: "http://h:1"), path: "/", [])
}
