//===----------------------------------------------------------------------===//
// TLS on one connection, apart from its socket.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOEmbedded
import NIOSSL

/// Turns what a socket receives into plain bytes and plain bytes into what a socket sends.
///
/// NIOSSL's handler does the work, inside a channel that is connected to nothing. Used on one thread.
final class SecureSession {
    private let channel: EmbeddedChannel

    /// Begins the handshake; its first message is in `takeOutput`.
    ///
    /// - Parameter host: the server's name, for its certificate; addresses are not sent as names.
    init(_ context: NIOSSLContext, host: String) throws {
        let isAddress = (try? SocketAddress(ipAddress: host, port: 1)) != nil
        let handler = try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host)
        channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandler(handler)
        channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        channel.embeddedEventLoop.run()
    }

    deinit {
        // Nobody will answer the goodbye, so the handler's patience is made to end at once.
        channel.close(promise: nil)
        channel.embeddedEventLoop.advanceTime(by: .minutes(10))
    }

    /// Takes in what the socket received and hands out what it means.
    func receive(_ bytes: UnsafeRawBufferPointer, _ body: (UnsafeBufferPointer<UInt8>) -> Void) throws {
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        while let plain = try channel.readInbound(as: ByteBuffer.self) {
            plain.withUnsafeReadableBytes { body($0.assumingMemoryBound(to: UInt8.self)) }
        }
    }

    /// Takes in plain bytes for the server; they leave once the handshake is done.
    func send(_ bytes: ArraySlice<UInt8>) {
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
        channel.embeddedEventLoop.run()
    }

    /// Appends what is to be sent now.
    func takeOutput(into bytes: inout [UInt8]) throws {
        while let part = try channel.readOutbound(as: ByteBuffer.self) { bytes += part.readableBytesView }
    }

    /// Certificates are verified against the system's roots, or those in the file at `rootCertificatePath`.
    static func context(verifies: Bool, rootCertificatePath: String?) throws(LoadError) -> NIOSSLContext {
        var settings = TLSConfiguration.makeClientConfiguration()
        if !verifies { settings.certificateVerification = .none }
        if let path = rootCertificatePath { settings.trustRoots = .file(path) }
        do {
            return try NIOSSLContext(configuration: settings)
        } catch {
            throw LoadError("TLS cannot be set up: \(error)")
        }
    }
}
