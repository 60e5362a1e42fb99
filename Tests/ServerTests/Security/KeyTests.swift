import Testing

@testable import Server

@Suite struct KeyTests {
    static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    // FIPS 180-4 examples, and lengths around the block's end (values from sha256sum).
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func digests(_ text: String, _ expected: String) { #expect(Self.hexadecimal(SHA256.digest(text.utf8)) == expected) }

    @Test func ringKnowsItsKeysOnly() {
        var ring = KeyRing()
        #expect(ring.isOpen)
        ring.add(digest: SHA256.digest("secret-one".utf8), tenant: 1, name: "one")
        ring.add(digest: SHA256.digest("secret-two".utf8), tenant: 2, name: "two")
        #expect(!ring.isOpen)
        #expect(ring.entry(forKey: "secret-two")?.tenant == 2)
        #expect(ring.entry(forKey: "secret-tw") == nil)
        #expect(ring.entry(forKey: "") == nil)
    }

    @Test func bearerField() {
        #expect(KeyRing.bearer("Bearer abc") == "abc")
        #expect(KeyRing.bearer("bearer  abc") == "abc")
        #expect(KeyRing.bearer("Basic abc") == nil)
        #expect(KeyRing.bearer(nil) == nil)
    }

    /// Every byte of a digest counts: neither its beginning nor its end alone opens the door.
    @Test func digestsThatAgreeInPartAreOfOtherKeys() {
        let digest = SHA256.digest("sesame".utf8)
        for index in 0..<32 {
            var other = digest
            other[index] ^= 1
            var ring = KeyRing()
            ring.add(digest: other, tenant: 1, name: "k")
            #expect(ring.entry(forKey: "sesame") == nil, "byte \(index)")
        }
        var ring = KeyRing()
        ring.add(digest: digest, tenant: 1, name: "k")
        #expect(ring.entry(forKey: "sesame")?.name == "k")
    }
}
