//===----------------------------------------------------------------------===//
// One connection to the server, carrying one request at a time.
//===----------------------------------------------------------------------===//

import NIOCore

/// The end of a channel's pipeline: feeds what comes to the parser and the request on its way, and tells the worker
/// when that has ended.
///
/// Used on its worker's event loop only.
final class StreamConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    unowned let worker: LoadWorker
    private(set) var context: ChannelHandlerContext?
    private var parser = HTTPResponseParser()
    /// The request on its way, and the workload's request that it came from.
    var exchange: StreamExchange?
    var ticket: RequestTicket?
    /// Requests that have used this connection, the present one included.
    private(set) var uses = 0
    /// Place among the worker's busy connections.
    var busyIndex = -1

    init(worker: LoadWorker) { self.worker = worker }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Sends a request. The connection must be idle.
    func send(_ bytes: ByteBuffer, _ exchange: StreamExchange, _ ticket: RequestTicket) {
        precondition(self.exchange == nil, "a connection carries one request at a time")
        self.exchange = exchange
        self.ticket = ticket
        uses += 1
        context?.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        let now = worker.now()
        guard exchange != nil else {
            // Bytes that nobody asked for.
            worker.idleConnectionBroke(self)
            context.close(promise: nil)
            return
        }
        var ended: Int?
        buffer.withUnsafeReadableBytes { bytes in
            let bytes = bytes.assumingMemoryBound(to: UInt8.self)
            exchange!.beginFeed(at: now)
            do throws(HTTPFault) {
                ended = try parser.feed(bytes, &exchange!)
            } catch {
                exchange!.fail(.garbage, "not a response of HTTP/1.1: \(error.reason)")
            }
        }
        worker.noteProgress(exchange!)
        guard exchange!.isFinished || ended != nil else { return }
        // Whatever follows the end of the answer belongs to no request.
        finish(reusable: ended == buffer.readableBytes && exchange!.keepsConnection)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if exchange == nil {
            worker.idleConnectionBroke(self)
        } else {
            exchange!.beginFeed(at: worker.now())
            if !parser.connectionEnded(&exchange!) { exchange!.connectionLost(at: worker.now()) }
            finish(reusable: false)
        }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        worker.noteError(error)
        context.close(promise: nil)
    }

    /// Gives the present request up with `status`; the connection is closed.
    func giveUp(_ status: RequestStatus, _ reason: String) {
        guard exchange != nil else { return }
        exchange!.beginFeed(at: worker.now())
        exchange!.fail(status, reason)
        finish(reusable: false)
    }

    func close() { context?.close(promise: nil) }

    private func finish(reusable: Bool) {
        guard let exchange, let ticket else { return }
        self.exchange = nil
        self.ticket = nil
        if !reusable { close() }
        worker.ended(exchange, ticket, on: self, reusable: reusable)
    }
}
