//===----------------------------------------------------------------------===//
// One connection of the serving listener: HTTP/1.1 in, bytes out.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOHTTP1

/// Reads requests from NIO's HTTP decoder, answers the plain routes at once, and holds one generation exchange at a
/// time.
///
/// Responses are written as bytes, head and body in one buffer, without an encoder in between: a token's way out is one
/// copy into a buffer and one system call for all tokens of the tick. Requests that a client sends before its last one
/// was answered (pipelining) wait in a short queue.
final class ServingHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = ByteBuffer

    /// Requests that may wait behind the one in progress, and their bytes.
    private static let pipelineLimit = 16

    private struct Incoming {
        var head: HTTPRequestHead
        var body: ByteBuffer?
        var refusal: APIError?
    }

    let frontEnd: LoopFrontEnd
    /// The cell whose port this connection came to; nil for the front door, which chooses.
    let cell: Int?
    private let routes: any PlainRoutes
    private var context: ChannelHandlerContext?
    private var incoming: Incoming?
    private var waiting: [Incoming] = []
    private var exchange: Exchange?
    private var isClosing = false
    /// Whether the last answer is written and what still comes in is thrown away.
    private var isLingering = false
    /// Whether a request on this connection was answered before.
    private(set) var hasAnswered = false
    /// When the current wait (for the rest of a request, or for the next one) is over.
    private var deadline: NIODeadline?

    init(frontEnd: LoopFrontEnd, routes: any PlainRoutes, cell: Int? = nil) {
        self.frontEnd = frontEnd
        self.cell = cell
        self.routes = routes
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        frontEnd.opened(self)
        deadline = .now() + seconds(frontEnd.settings.limits.receiveSeconds)
    }

    func handlerRemoved(context: ChannelHandlerContext) { detach() }

    func channelInactive(context: ChannelHandlerContext) {
        detach()
        context.fireChannelInactive()
    }

    private func detach() {
        guard context != nil else { return }
        context = nil
        waiting.removeAll()
        if let exchange {
            self.exchange = nil
            frontEnd.disconnected(exchange)
        }
        frontEnd.closed(self)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): begin(head)
        case .body(let bytes): receive(bytes)
        case .end: end()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, let exchange { emit(exchange) }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The decoder complains about every piece that comes after the one it refused.
        if isLingering, !(error is IOError) { return }
        if let error = error as? HTTPParserError, exchange == nil, !isClosing {
            if error == .headerOverflow {
                respond(APIError(status: 431, message: "The header is too large.", code: "header_too_large"), head: nil)
            } else {
                respond(.invalid("The request is not valid HTTP: \(error)."), head: nil)
            }
            return
        }
        close()
    }

    // MARK: Receiving

    private func begin(_ head: HTTPRequestHead) {
        guard !isClosing else { return }
        incoming = Incoming(head: head)
        deadline = .now() + seconds(frontEnd.settings.limits.receiveSeconds)
        let limit = frontEnd.settings.limits.bodyBytes
        if let length = head.headers.first(name: "content-length").flatMap({ Int($0) }), length > limit {
            refuseBody(limit: limit)
        } else if head.headers.first(name: "expect")?.lowercased() == "100-continue", exchange == nil, let context {
            var buffer = context.channel.allocator.buffer(capacity: 32)
            buffer.writeStaticString("HTTP/1.1 100 Continue\r\n\r\n")
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        }
    }

    private func receive(_ bytes: ByteBuffer) {
        guard !isClosing, incoming != nil, incoming?.refusal == nil else { return }
        let limit = frontEnd.settings.limits.bodyBytes
        let received = (incoming?.body?.readableBytes ?? 0) + bytes.readableBytes
        guard received <= limit else {
            refuseBody(limit: limit)
            return
        }
        if incoming?.body == nil {
            incoming?.body = bytes
        } else {
            var bytes = bytes
            incoming?.body?.writeBuffer(&bytes)
        }
    }

    /// A body that is too large is answered at once and not read to its end: the connection closes after the answer.
    private func refuseBody(limit: Int) {
        guard let head = incoming?.head else { return }
        incoming?.body = nil
        incoming?.refusal = .bodyTooLarge(limit: limit)
        guard exchange == nil, waiting.isEmpty else { return }
        respond(.bodyTooLarge(limit: limit), head: head, keepAlive: false)
    }

    private func end() {
        guard !isClosing, let request = incoming else { return }
        incoming = nil
        deadline = nil
        if exchange == nil, waiting.isEmpty {
            handle(request)
        } else if waiting.count < Self.pipelineLimit,
            waiting.reduce(0, { $0 + ($1.body?.readableBytes ?? 0) }) <= frontEnd.settings.limits.bodyBytes
        {
            waiting.append(request)
        } else {
            close()
        }
    }

    // MARK: Answering

    private func handle(_ request: Incoming) {
        if let refusal = request.refusal {
            respond(refusal, head: request.head, keepAlive: false)
            return
        }
        let path = Self.path(of: request.head.uri)
        if routes.generates, let endpoint = GenerationEndpoint(path: path) {
            generate(endpoint, request)
        } else {
            plain(String(path), request)
        }
    }

    /// The path that a request's target names, without its query: of `/path`, and of `http://host/path`, which clients send
    /// to proxies and every server has to understand (RFC 9112, section 3.2.2).
    static func path(of target: String) -> Substring {
        var rest = target[...]
        for scheme in ["http://", "https://"] where rest.prefix(scheme.count).lowercased() == scheme {
            rest = rest.dropFirst(scheme.count)
            rest = rest[(rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex)...]
            break
        }
        let path = rest.prefix { $0 != "?" }
        return path.isEmpty ? "/" : path
    }

    private func plain(_ path: String, _ request: Incoming) {
        let isHead = request.head.method == .HEAD
        let key: KeyRing.Entry?
        do throws(APIError) {
            key = routes.isOpen(path) ? nil : try authorise(request.head)
        } catch {
            respond(error, head: request.head)
            return
        }
        let answer = routes.answer(
            method: request.head.method, path: path, headers: request.head.headers, body: request.body,
            frontEnd: frontEnd, key: key)
        switch answer {
        case .success(let answer):
            guard let context else { return }
            var buffer = context.channel.allocator.buffer(capacity: 512 + answer.body.readableBytes)
            ResponseHead.write(
                status: answer.status, contentType: answer.contentType, framing: .length(answer.body.readableBytes),
                keepAlive: keepsAlive(request.head), requestID: requestID(request.head), date: frontEnd.date,
                extra: answer.extra,
                to: &buffer)
            if !isHead {
                var body = answer.body
                buffer.writeBuffer(&body)
            }
            send(buffer, keepAlive: keepsAlive(request.head))
        case .failure(let error): respond(error, head: request.head)
        }
    }

    private func generate(_ endpoint: GenerationEndpoint, _ request: Incoming) {
        guard request.head.method == .POST else {
            respond(.methodNotAllowed(String(Self.path(of: request.head.uri)), use: "POST"), head: request.head)
            return
        }
        do throws(APIError) {
            let key = try authorise(request.head)
            let headers = try RequestHeaders(request.head.headers)
            let settings = frontEnd.settings
            guard let body = request.body else { throw .invalid("The request has no body.") }
            let parsed = try parse(endpoint, body, counting: settings.counting)
            let isVersion11 = request.head.version.major == 1 && request.head.version.minor >= 1
            let keepAlive = keepsAlive(request.head) && (isVersion11 || !parsed.stream)
            exchange = try frontEnd.admit(
                parsed, headers: headers, keepAlive: keepAlive, framing: isVersion11 ? .chunked : .untilClose, key: key,
                for: self)
        } catch {
            if error.status == 400 || error.status == 404 { frontEnd.counters.add(to: .requestsRefusedInvalid) }
            respond(error, head: request.head)
        }
    }

    private func parse(
        _ endpoint: GenerationEndpoint, _ body: ByteBuffer, counting: TokenCounting
    ) throws(APIError) -> GenerationRequest {
        try body.withUnsafeReadableBytes { bytes throws(APIError) in
            try GenerationRequest(endpoint: endpoint, body: bytes, counting: counting)
        }
    }

    private func authorise(_ head: HTTPRequestHead) throws(APIError) -> KeyRing.Entry? {
        let keys = frontEnd.settings.keys
        if keys.isOpen { return nil }
        guard let key = KeyRing.bearer(head.headers.first(name: "authorization")) else {
            frontEnd.counters.add(to: .requestsRefusedUnauthorised)
            throw APIError(
                status: 401, message: "An API key is needed: `Authorization: Bearer KEY`.", code: "missing_api_key")
        }
        guard let entry = keys.entry(forKey: key) else {
            frontEnd.counters.add(to: .requestsRefusedUnauthorised)
            throw APIError(status: 401, message: "The API key is not known.", code: "invalid_api_key")
        }
        return entry
    }

    private func respond(_ error: APIError, head: HTTPRequestHead?, keepAlive: Bool = true) {
        guard let context else { return }
        var buffer = context.channel.allocator.buffer(capacity: 512)
        let keepAlive = keepAlive && head.map(keepsAlive) ?? false
        error.writeResponse(
            keepAlive: keepAlive, requestID: head.flatMap(requestID), date: frontEnd.date,
            isHead: head?.method == .HEAD, to: &buffer)
        send(buffer, keepAlive: keepAlive)
    }

    private func requestID(_ head: HTTPRequestHead) -> String? {
        ResponseHead.acceptableRequestID(head.headers.first(name: "x-request-id"))
    }

    private func keepsAlive(_ head: HTTPRequestHead) -> Bool { head.isKeepAlive && !frontEnd.isDraining }

    /// Sends the whole of a response and goes on to the next request.
    private func send(_ buffer: ByteBuffer, keepAlive: Bool) {
        guard let context else { return }
        hasAnswered = true
        count(buffer)
        if keepAlive {
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
            next()
        } else {
            waiting.removeAll()
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
            linger(context)
        }
    }

    /// Ends the connection so that the client gets its last answer: says that no more comes, and goes on reading and throwing
    /// away for a moment. Closing at once, with bytes of the request unread, would reset the connection and take the answer
    /// with it.
    private func linger(_ context: ChannelHandlerContext) {
        isClosing = true
        isLingering = true
        incoming = nil
        deadline = .now() + .seconds(2)
        let ended = context.eventLoop.makePromise(of: Void.self)
        ended.futureResult.assumeIsolated().whenFailure { [weak self] _ in self?.close() }
        context.close(mode: .output, promise: ended)
    }

    private func count(_ buffer: ByteBuffer) {
        frontEnd.counters.add(to: .writes)
        frontEnd.counters.add(buffer.readableBytes, to: .bytesWritten)
    }

    private func next() {
        deadline = .now() + seconds(frontEnd.settings.limits.idleSeconds)
        guard !waiting.isEmpty else { return }
        // Not from within the answer to the one before: a client that pipelines must not grow the stack.
        context?.eventLoop.assumeIsolated().execute { [weak self] in self?.resume() }
    }

    private func resume() {
        guard exchange == nil, !isClosing, !waiting.isEmpty else { return }
        handle(waiting.removeFirst())
    }

    // MARK: Streaming

    /// Writes what is due of the exchange, as far as the connection takes it.
    func emit(_ exchange: Exchange) {
        guard let context, self.exchange === exchange, !isClosing else { return }
        var hasWritten = false
        while exchange.hasSomethingToWrite {
            guard context.channel.isWritable else {
                if exchange.stalledSince == nil { exchange.stalledSince = .now() }
                break
            }
            exchange.stalledSince = nil
            let piece = exchange.nextPiece(date: frontEnd.date, allocator: context.channel.allocator)
            count(piece)
            context.write(wrapOutboundOut(piece), promise: nil)
            hasWritten = true
            if piece.readableBytes >= Exchange.pieceBytes { context.flush() }
        }
        if hasWritten { context.flush() }
        if exchange.isOver, self.exchange === exchange { finish(exchange) }
    }

    private func finish(_ exchange: Exchange) {
        self.exchange = nil
        hasAnswered = true
        frontEnd.answered(exchange)
        if exchange.keepAlive, !frontEnd.isDraining {
            next()
        } else {
            isClosing = true
            guard let context else { return }
            let nothing = context.channel.allocator.buffer(capacity: 0)
            context.writeAndFlush(wrapOutboundOut(nothing)).assumeIsolated().whenComplete { [weak self] _ in
                self?.close()
            }
        }
    }

    // MARK: Deadlines and the end

    func checkDeadlines(now: NIODeadline) {
        if let stalled = exchange?.stalledSince, now - stalled > seconds(frontEnd.settings.limits.stallSeconds) {
            frontEnd.counters.add(to: .slowReadersClosed)
            close()
        } else if exchange == nil, let deadline, now > deadline {
            if incoming != nil { frontEnd.counters.add(to: .slowSendersClosed) }
            close()
        }
    }

    /// Ends the exchange in progress with an error, if there is one.
    func fail(_ error: APIError) {
        guard let exchange else { return }
        for index in exchange.sequences.indices { exchange.failed(sequence: index, error: error) }
        emit(exchange)
    }

    /// Closes a connection that is kept alive between requests. One whose first request is still on its way gets its
    /// answer.
    func closeIfIdle() { if hasAnswered, exchange == nil, incoming == nil, waiting.isEmpty { close() } }

    /// Whether the client has connected and its first request has not been answered nor given to the fleet.
    var isFresh: Bool { !hasAnswered && exchange == nil && !isClosing }

    func close() {
        isClosing = true
        context?.close(promise: nil)
    }

    private func seconds(_ value: Double) -> TimeAmount { .nanoseconds(Int64(value * 1e9)) }
}
