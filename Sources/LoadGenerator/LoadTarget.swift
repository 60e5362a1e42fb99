//===----------------------------------------------------------------------===//
// Where the load goes: a server's address and the API spoken there.
//===----------------------------------------------------------------------===//

/// Bad input to the load generator, in one line that says what was expected.
public struct LoadError: Error, Equatable, CustomStringConvertible, Sendable {
    public var description: String

    public init(_ description: String) { self.description = description }
}

/// The two OpenAI routes that produce text.
public enum LoadEndpoint: String, CaseIterable, Sendable {
    case chat
    case completions

    var path: String {
        switch self {
        case .chat: "/v1/chat/completions"
        case .completions: "/v1/completions"
        }
    }
}

/// A server: scheme, host, port and what comes before `/v1` in its paths.
public struct LoadTarget: Equatable, Sendable {
    public var usesTLS: Bool
    public var host: String
    public var port: Int
    /// Empty, or begins with `/` and does not end with it.
    public var pathPrefix: String
    /// A Unix socket that is connected to instead of the host and the port.
    public var socketPath: String?
    /// HTTP/2 instead of HTTP/1.1: as TLS agrees it (ALPN), or from the first byte on without TLS (prior knowledge).
    public var usesHTTP2 = false

    /// What is offered in TLS (ALPN).
    var protocols: [String] { usesHTTP2 ? ["h2"] : [] }

    /// Parses `http[s]://HOST[:PORT][/PREFIX]`; a trailing `/v1`, as clients of OpenAI write it, is taken off.
    public init(parsing text: String) throws(LoadError) {
        let expected = "where http://HOST[:PORT] or https://HOST[:PORT] was expected"
        guard let separator = text.range(of: "://") else { throw LoadError("the URL is '\(text)', \(expected)") }
        switch text[..<separator.lowerBound] {
        case "http": usesTLS = false
        case "https": usesTLS = true
        default: throw LoadError("the URL is '\(text)', \(expected)")
        }
        let rest = text[separator.upperBound...]
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        var prefix = String(rest[slash...])
        while prefix.hasSuffix("/") { prefix.removeLast() }
        if prefix.hasSuffix("/v1") { prefix.removeLast(3) }
        pathPrefix = prefix
        var authority = rest[..<slash]
        var portText: Substring?
        if authority.first == "[" {
            guard let close = authority.firstIndex(of: "]") else {
                throw LoadError("the URL is '\(text)', \(expected)")
            }
            let after = authority[authority.index(after: close)...]
            if after.first == ":" { portText = after.dropFirst() }
            authority = authority[authority.index(after: authority.startIndex)..<close]
        } else if let colon = authority.lastIndex(of: ":") {
            portText = authority[authority.index(after: colon)...]
            authority = authority[..<colon]
        }
        host = String(authority)
        guard !host.isEmpty else { throw LoadError("the URL is '\(text)', \(expected)") }
        if let portText {
            guard let number = Int(portText), (1...65_535).contains(number) else {
                throw LoadError("the URL is '\(text)', whose port is not a number from 1 to 65535")
            }
            port = number
        } else {
            port = usesTLS ? 443 : 80
        }
    }

    /// Where connections go, for messages.
    var place: String { socketPath ?? hostHeader }

    /// `Host` header: the port is left out when it is the scheme's own.
    public var hostHeader: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (usesTLS ? 443 : 80) ? name : "\(name):\(port)"
    }
}

extension String {
    /// Range of the first occurrence of `other`.
    fileprivate func range(of other: String) -> Range<String.Index>? { firstRange(of: other) }
}
