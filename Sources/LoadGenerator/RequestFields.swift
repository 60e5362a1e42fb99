//===----------------------------------------------------------------------===//
// Requests as header fields of HTTP/2.
//===----------------------------------------------------------------------===//

import NIOHPACK

/// The header fields that every request of a run has in common, in HTTP/2's form: names in lower case, the request line
/// and `Host` as pseudo-fields (RFC 9113, section 8.3.1).
struct RequestFields: Sendable {
    /// Those that say something of one connection, which HTTP/2 has no place for (RFC 9113, section 8.2.2), and the
    /// one that is this client's to fill in.
    private static let refused: Set<String> = [
        "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "content-length",
    ]

    private let fields: HPACKHeaders

    /// Those of the load's requests.
    init(_ configuration: LoadConfiguration) throws(LoadError) {
        try self.init(
            "POST", configuration.target, path: configuration.target.pathPrefix + configuration.endpoint.path,
            own: [
                ("content-type", "application/json"),
                ("accept", configuration.streams ? "text/event-stream" : "application/json"),
            ], configuration.headers)
    }

    /// - Parameters:
    ///   - own: fields of this client, names in lower case.
    ///   - headers: the user's, as they would stand in HTTP/1.1. `Host` becomes the authority.
    init(
        _ method: String, _ target: LoadTarget, path: String, own: [(String, String)] = [],
        _ headers: [(name: String, value: String)]
    ) throws(LoadError) {
        var authority = target.hostHeader
        var others = HPACKHeaders()
        others.add(name: "user-agent", value: "trainyard-load")
        for (name, value) in own { others.add(name: name, value: value) }
        for header in headers {
            let name = header.name.lowercased()
            guard !RequestFields.refused.contains(name), name != "te" || header.value == "trailers" else {
                throw LoadError("a header line '\(header.name)' cannot be sent over HTTP/2")
            }
            let value = RequestFields.trimmed(header.value)
            guard RequestFields.isToken(name), RequestFields.isText(value) else {
                throw LoadError("a header line '\(header.name)' has bytes that HTTP/2 does not allow")
            }
            if name == "host" { authority = value } else { others.add(name: name, value: value) }
        }
        var fields = HPACKHeaders()
        fields.add(name: ":method", value: method)
        fields.add(name: ":scheme", value: target.usesTLS ? "https" : "http")
        fields.add(name: ":authority", value: authority)
        fields.add(name: ":path", value: path)
        fields.add(contentsOf: others)
        self.fields = fields
    }

    /// The fields of a request whose body is `length` bytes long, or that has none.
    func fields(bodyLength length: Int?) -> HPACKHeaders {
        guard let length else { return fields }
        var fields = fields
        // Lengths vary, and in the table that both sides keep they would push out what does not.
        fields.add(name: "content-length", value: String(length), indexing: .nonIndexable)
        return fields
    }

    /// Whether `name` is a token of RFC 9110, section 5.6.2.
    private static func isToken(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    /// Whether `value` can stand in a header field: no control characters but the tab.
    private static func isText(_ value: String) -> Bool {
        value.utf8.allSatisfy { ($0 >= 32 && $0 != 127) || $0 == 9 }
    }

    /// `value` without the blanks around it, which HTTP/1.1 passes over and HTTP/2 forbids.
    private static func trimmed(_ value: String) -> String {
        func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" }
        var rest = value.drop(while: isBlank)
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        return String(rest)
    }
}
