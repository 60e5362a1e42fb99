import Testing

@testable import Server

@Suite struct KeyTests {
    static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// What a configuration file holds is what sha256sum prints for the key (an example of FIPS 180-4).
    @Test func digestIsTheOneThatSha256sumPrints() {
        #expect(
            Self.hexadecimal(KeyRing.digest(ofKey: "abc"))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test func ringKnowsItsKeysOnly() {
        var ring = KeyRing()
        #expect(ring.isOpen)
        ring.add(digest: KeyRing.digest(ofKey: "secret-one"), tenant: 1, name: "one")
        ring.add(digest: KeyRing.digest(ofKey: "secret-two"), tenant: 2, name: "two")
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
        let digest = KeyRing.digest(ofKey: "sesame")
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
