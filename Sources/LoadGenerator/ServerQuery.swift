//===----------------------------------------------------------------------===//
// Single GET requests beside the load: the model's name, the server's metrics.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOPosix
import NIOSSL

/// One GET, its whole answer in memory.
public enum ServerQuery {
    /// Status and body of `path` at `target`.
    public static func get(
        _ target: LoadTarget, path: String, headers: [(name: String, value: String)] = [],
        verifiesCertificates: Bool = true,
        timeoutNanoseconds: Int64 = 5_000_000_000
    ) async throws(LoadError) -> (status: Int, body: [UInt8]) {
        let place = (target.usesTLS ? "https://" : "http://") + target.hostHeader + path
        var tls: NIOSSLContext?
        do {
            if target.usesTLS {
                var settings = TLSConfiguration.makeClientConfiguration()
                if !verifiesCertificates { settings.certificateVerification = .none }
                tls = try NIOSSLContext(configuration: settings)
            }
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let promise = loop.makePromise(of: Answer.self)
            let context = tls
            let bootstrap = ClientBootstrap(group: loop)
                .connectTimeout(.nanoseconds(timeoutNanoseconds))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        if let context {
                            let named = (try? SocketAddress(ipAddress: target.host, port: 1)) == nil
                            try channel.pipeline.syncOperations.addHandler(
                                NIOSSLClientHandler(context: context, serverHostname: named ? target.host : nil)
                            )
                        }
                        try channel.pipeline.syncOperations.addHandler(QueryHandler(promise: promise))
                    }
                }
            let channel: any Channel
            do {
                channel = try await bootstrap.connect(host: target.host, port: target.port).get()
            } catch {
                promise.fail(error)
                throw LoadError("cannot connect: \(ConnectFailure.reason(error))")
            }
            var text =
                "GET \(path) HTTP/1.1\r\nHost: \(target.hostHeader)\r\nUser-Agent: trainyard-load\r\nConnection: close\r\n"
            for header in headers { text += "\(header.name): \(header.value)\r\n" }
            let bytes = ByteBuffer(string: text + "\r\n")
            let timeout = loop.scheduleTask(in: .nanoseconds(timeoutNanoseconds)) {
                promise.fail(LoadError("no answer in \(timeoutNanoseconds / 1_000_000) ms"))
            }
            channel.writeAndFlush(bytes, promise: nil)
            defer {
                timeout.cancel()
                channel.close(promise: nil)
            }
            let answer = try await promise.futureResult.get()
            return (answer.status, answer.body)
        } catch {
            throw LoadError("\(place): \(error)")
        }
    }

    /// The name of the first model that the server lists.
    public static func firstModel(
        _ target: LoadTarget, headers: [(name: String, value: String)], verifiesCertificates: Bool
    ) async throws(LoadError) -> String {
        let path = "\(target.pathPrefix)/v1/models"
        let answer = try await get(target, path: path, headers: headers, verifiesCertificates: verifiesCertificates)
        guard answer.status == 200 else {
            throw LoadError("\(path) answered HTTP \(answer.status); name the model with --model")
        }
        if let name = ModelList.firstName(answer.body) { return name }
        throw LoadError("\(path) lists no model; name it with --model")
    }
}

/// A whole answer.
private struct Answer: HTTPResponseSink, Sendable {
    var status = 0
    var body: [UInt8] = []
    var isComplete = false

    mutating func head(_ head: ResponseHead) { status = head.status }

    mutating func body(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        body.append(contentsOf: bytes)
        return body.count < 64 << 20
    }

    mutating func end() { isComplete = true }
}

/// Collects one answer.
private final class QueryHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let promise: EventLoopPromise<Answer>
    private var parser = HTTPResponseParser()
    private var answer = Answer()
    private var isDone = false

    init(promise: EventLoopPromise<Answer>) { self.promise = promise }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        unwrapInboundIn(data).withUnsafeReadableBytes { bytes in
            do throws(HTTPFault) {
                _ = try parser.feed(bytes.assumingMemoryBound(to: UInt8.self), &answer)
            } catch {
                fail(LoadError("the answer is not HTTP: \(error.reason)"))
            }
        }
        complete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        _ = parser.connectionEnded(&answer)
        complete()
        fail(LoadError("the connection ended before the answer was complete"))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error)
        context.close(promise: nil)
    }

    private func complete() {
        guard answer.isComplete, !isDone else { return }
        isDone = true
        promise.succeed(answer)
    }

    private func fail(_ error: any Error) {
        guard !isDone else { return }
        isDone = true
        promise.fail(error)
    }
}
