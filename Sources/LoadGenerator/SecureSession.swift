//===----------------------------------------------------------------------===//
// TLS on one connection, apart from its socket.
//===----------------------------------------------------------------------===//

import NIOCore
import NIOEmbedded
import NIOSSL
import NIOTLS

/// Turns what a socket receives into plain bytes and plain bytes into what a socket sends.
///
/// NIOSSL's handler does the work, inside a channel that is connected to nothing. Used on one thread.
final class SecureSession {
    private let channel: EmbeddedChannel
    private let agreement: AgreementWitness?

    /// Begins the handshake; its first message is in `takeOutput`.
    ///
    /// - Parameters:
    ///   - host: the server's name, for its certificate; addresses are not sent as names.
    ///   - asksForProtocol: whether the agreement (ALPN) is looked at.
    init(_ context: NIOSSLContext, host: String, asksForProtocol: Bool = false) throws {
        let isAddress = (try? SocketAddress(ipAddress: host, port: 1)) != nil
        let handler = try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host)
        channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandler(handler)
        agreement = asksForProtocol ? AgreementWitness() : nil
        if let agreement { try channel.pipeline.syncOperations.addHandler(agreement) }
        channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        channel.embeddedEventLoop.run()
    }

    deinit {
        // Nobody will answer the goodbye, so the handler's patience is made to end at once.
        channel.close(promise: nil)
        channel.embeddedEventLoop.advanceTime(by: .minutes(10))
    }

    /// The protocol that the server chose (ALPN), empty when it chose none; nil until the handshake is done.
    private var agreedProtocol: String? { agreement?.chosen }

    /// Whether the handshake is done.
    var isEstablished: Bool { agreedProtocol != nil }

    /// Why the server does not speak HTTP/2 over this, in words; nil where it does, or has not said yet.
    var faultOfAgreement: String? {
        guard let agreedProtocol, agreedProtocol != "h2" else { return nil }
        return SecureSession.noAgreement(agreedProtocol.isEmpty ? "it chose no protocol" : "it chose \(agreedProtocol)")
    }

    /// The same, of a handshake that failed. Servers that offer other protocols only end it with an alert.
    static func faultOfAgreement(_ error: any Error) -> String? {
        "\(error)".contains("NO_APPLICATION_PROTOCOL") ? noAgreement("it has no protocol in common") : nil
    }

    private static func noAgreement(_ choice: String) -> String {
        "the server does not agree to HTTP/2 (ALPN: \(choice))"
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
    ///
    /// - Parameter protocols: those offered to the server (ALPN), the best first; none for HTTP/1.1.
    static func context(
        verifies: Bool, rootCertificatePath: String?, protocols: [String] = []
    ) throws(LoadError) -> NIOSSLContext {
        var settings = TLSConfiguration.makeClientConfiguration()
        settings.applicationProtocols = protocols
        if !verifies { settings.certificateVerification = .none }
        if let path = rootCertificatePath { settings.trustRoots = .file(path) }
        do {
            return try NIOSSLContext(configuration: settings)
        } catch {
            throw LoadError("TLS cannot be set up: \(error)")
        }
    }
}

/// Notes what the handshake settled.
private final class AgreementWitness: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private(set) var chosen: String?

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted(let negotiated) = event as? TLSUserEvent { chosen = negotiated ?? "" }
        context.fireUserInboundEventTriggered(event)
    }
}
