//===----------------------------------------------------------------------===//
// The listening sockets of the token path.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Where a listener takes connections.
public enum ListenAddress: Sendable, Equatable, CustomStringConvertible {
    case host(String, port: Int)
    case unixSocket(path: String)
    /// A listening socket that the service manager opened.
    case inherited(descriptor: Int32)

    public var description: String {
        switch self {
        case .host(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unixSocket(let path): "unix:\(path)"
        case .inherited(let descriptor): "inherited socket \(descriptor)"
        }
    }
}

/// One front end for each event loop, reachable from that loop only.
final class FrontEndTable: Sendable {
    private let fronts: [NIOLoopBound<LoopFrontEnd>]
    let loops: [any EventLoop]
    private let indices: [ObjectIdentifier: Int]

    /// Makes each front end on its own loop.
    init(loops: [any EventLoop], make: @escaping @Sendable (Int, any EventLoop) -> LoopFrontEnd) async throws {
        self.loops = loops
        var fronts: [NIOLoopBound<LoopFrontEnd>] = []
        for (index, loop) in loops.enumerated() {
            fronts.append(try await loop.submit { NIOLoopBound(make(index, loop), eventLoop: loop) }.get())
        }
        self.fronts = fronts
        indices = Dictionary(uniqueKeysWithValues: loops.enumerated().map { (ObjectIdentifier($1), $0) })
    }

    /// The front end of the loop that calls.
    func frontEnd(of loop: any EventLoop) -> LoopFrontEnd {
        guard let index = indices[ObjectIdentifier(loop)] else {
            preconditionFailure("a channel on an event loop without a front end")
        }
        return fronts[index].value
    }

    /// Runs `body` on every loop, one after another, and gathers what it returns.
    func onEach<Result: Sendable>(_ body: @escaping @Sendable (LoopFrontEnd) -> Result) async throws -> [Result] {
        var results: [Result] = []
        for (index, loop) in loops.enumerated() {
            let front = fronts[index]
            results.append(try await loop.submit { body(front.value) }.get())
        }
        return results
    }
}

/// Accepts connections and puts a `ServingHandler` on each.
final class ServingListener: Sendable {
    private let channel: any Channel

    /// Address that the socket got (the port, when 0 was asked for); nil for a Unix socket.
    var localAddress: SocketAddress? { channel.localAddress }

    /// - Parameters:
    ///   - connections: of all listeners that share it; the front ends' settings limit them.
    ///   - cell: the cell that takes what comes in here; nil lets the front ends choose.
    ///   - prepare: adds handlers in front, such as TLS.
    init(
        address: ListenAddress, group: any EventLoopGroup, fronts: FrontEndTable, routes: any PlainRoutes,
        connections: ConnectionCount, cell: Int? = nil, prepare: (@Sendable (any Channel) throws -> Void)? = nil
    ) async throws {
        // NIO sets TCP_NODELAY on the listening socket, and Linux passes it on to what is accepted there.
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 32 * 1024, high: 128 * 1024))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let front = fronts.frontEnd(of: channel.eventLoop)
                    guard connections.enter(limit: front.settings.limits.connections) else {
                        front.counters.add(to: .connectionsRefused)
                        throw ChannelError.operationUnsupported
                    }
                    channel.closeFuture.whenComplete { _ in connections.leave() }
                    try prepare?(channel)
                    try channel.pipeline.syncOperations.addHandlers(
                        ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)),
                        ServingHandler(frontEnd: front, routes: routes, cell: cell))
                }
            }
        switch address {
        case .host(let host, let port): channel = try await bootstrap.bind(host: host, port: port).get()
        case .unixSocket(let path):
            channel = try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
        case .inherited(let descriptor): channel = try await bootstrap.withBoundSocket(descriptor).get()
        }
    }

    /// Takes no more connections; those that are open stay.
    func close() async { try? await channel.close().get() }
}

/// Connections that are open, over all loops.
final class ConnectionCount: Sendable {
    private let count = Atomic<Int>(0)

    var current: Int { count.load(ordering: .relaxed) }

    /// Counts one more, unless that would exceed the limit.
    func enter(limit: Int) -> Bool {
        if count.wrappingAdd(1, ordering: .relaxed).newValue <= limit { return true }
        leave()
        return false
    }

    func leave() { count.wrappingSubtract(1, ordering: .relaxed) }
}
