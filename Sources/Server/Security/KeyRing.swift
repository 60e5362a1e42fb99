//===----------------------------------------------------------------------===//
// API keys, known only by their hashes.
//===----------------------------------------------------------------------===//

import Crypto

/// The keys that a listener accepts, and the tenant that each speaks for.
struct KeyRing: Sendable, Equatable {
    struct Entry: Sendable, Equatable {
        /// SHA-256 of the key's UTF-8, 32 bytes.
        var digest: [UInt8]
        /// Index into the fleet's tenants; 0 is the anonymous tenant.
        var tenant: UInt16
        /// What logs and metrics call it.
        var name: String
    }

    private(set) var entries: [Entry] = []

    /// Without any key the listener is open to everyone who reaches it.
    var isOpen: Bool { entries.isEmpty }

    mutating func add(digest: [UInt8], tenant: UInt16, name: String) {
        precondition(digest.count == 32)
        entries.append(Entry(digest: digest, tenant: tenant, name: name))
    }

    /// The entry of a presented key. Every entry is compared in full, so the time taken tells nothing about them.
    func entry(forKey key: String) -> Entry? {
        let digest = SHA256.hash(data: Array(key.utf8))
        var found: Entry?
        // `==` of a digest takes the same time whatever the bytes are.
        for entry in entries where digest == entry.digest { found = entry }
        return found
    }

    /// What `add` takes for a key, 32 bytes.
    static func digest(ofKey key: String) -> [UInt8] { Array(SHA256.hash(data: Array(key.utf8))) }

    /// The key in an `Authorization` field's value, `Bearer KEY`.
    static func bearer(_ field: String?) -> String? {
        guard let field, field.count > 7, field.prefix(7).lowercased() == "bearer " else { return nil }
        return String(field.dropFirst(7).drop { $0 == " " })
    }
}
