//===----------------------------------------------------------------------===//
// How many tokens a prompt has, and which of its KV blocks were seen before.
//===----------------------------------------------------------------------===//

/// What the scheduler needs to know about a prompt: its length, and a chained hash for each full KV block.
struct PromptMeasure: Equatable {
    var tokens: Int32
    /// `blockHashes[i]` names the first `(i + 1) × tokensPerBlock` tokens; equal hashes mean equal beginnings.
    var blockHashes: [UInt64]
    /// Hash of the whole prompt, from which a reply's filler and a drawn length are derived.
    var digest: UInt64
}

/// Estimates tokens of text without a tokenizer, in one pass over its bytes, and hashes them block by block.
///
/// The estimate imitates how byte-pair tokenizers with large vocabularies (100,000 to 200,000 entries) split text:
///
/// - a word of ASCII letters, with the one space before it, is one token up to 10 letters, and one more for every 5 beyond;
/// - digits go three to a token;
/// - punctuation goes up to three to a token;
/// - white space beyond the single space before a word is one token a run;
/// - other text (non-ASCII) is one token for every three bytes.
///
/// Ordinary English therefore counts about one token a word, and text made of common words (what load generators send
/// when they want an exact length) counts exactly its words. It is an assumption, good to some ten percent on prose; a
/// configured tokenizer replaces it.
struct PromptScanner {
    private enum Run { case none, space, whitespace, letters, digits, punctuation, other }

    private let tokensPerBlock: Int32
    private var run = Run.none
    private var runLength: Int32 = 0
    private var tokens: Int32 = 0
    private var untilBlockEnd: Int32
    private var hash: UInt64 = 0x9E37_79B9_7F4A_7C15
    private var blockHashes: [UInt64] = []

    /// - Parameter tokensPerBlock: tokens of one KV block; 0 when no prefix cache wants hashes.
    init(tokensPerBlock: Int32) {
        self.tokensPerBlock = tokensPerBlock
        self.untilBlockEnd = tokensPerBlock > 0 ? tokensPerBlock : .max
    }

    // MARK: Feeding

    /// Text, in pieces of any size: a piece may end within a word or within a scalar.
    mutating func scan(_ text: UnsafeRawBufferPointer) {
        for byte in text { scan(byte) }
    }

    private mutating func scan(_ byte: UInt8) {
        let afterSpace = run == .space
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"):
            extend(.letters)
            if runLength == 1 || (runLength > 10 && (runLength - 11) % 5 == 0) { countToken() }
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            extend(.digits)
            if (runLength - 1) % 3 == 0 { countToken() }
        case 0x20:
            // One space belongs to the word after it; a second one makes the run a token of its own.
            if run == .space {
                run = .whitespace
                countToken()
            } else if run != .whitespace {
                run = .space
                return
            }
        case 0x09...0x0D:
            if run != .whitespace {
                run = .whitespace
                countToken()
            }
        case 0x80...:
            extend(.other)
            if (runLength - 1) % 3 == 0 { countToken() }
        default:
            extend(.punctuation)
            if (runLength - 1) % 3 == 0 { countToken() }
        }
        // A space before a word is hashed with the word's token, so that a block ends alike whatever follows it.
        if afterSpace { add(0x20) }
        add(byte)
    }

    @inline(__always) private mutating func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }

    private mutating func extend(_ kind: Run) {
        if run == kind {
            runLength &+= 1
        } else {
            run = kind
            runLength = 1
        }
    }

    /// One token given by its number, from a client that tokenised by itself.
    mutating func scan(tokenID: Int64) {
        countToken()
        hash = (hash ^ UInt64(bitPattern: tokenID)) &* 0x9FB2_1C65_1E98_DF25
        hash ^= hash >> 29
    }

    /// Tokens that the chat template adds and the client never sees, such as a role header.
    /// - Parameter tag: tells templates with the same number of tokens apart.
    mutating func scanTemplate(tokens: Int32, tag: UInt64) {
        run = .none
        hash = mixed(hash ^ tag)
        for _ in 0..<tokens { countToken() }
    }

    /// A token begins. Its bytes are still to come, so the hash of a full block is taken when the next block's first
    /// token begins, or at the end.
    private mutating func countToken() {
        if untilBlockEnd == 0 {
            blockHashes.append(mixed(hash))
            untilBlockEnd = tokensPerBlock
        }
        untilBlockEnd &-= 1
        tokens &+= 1
    }

    // MARK: Result

    /// A prompt has at least one token, since every model starts from one.
    func measure() -> PromptMeasure {
        var hashes = blockHashes
        if untilBlockEnd == 0 { hashes.append(mixed(hash)) }
        return PromptMeasure(tokens: max(1, tokens), blockHashes: hashes, digest: mixed(hash))
    }
}

/// SplitMix64's finaliser (Steele, Lea and Flood, 2014): spreads every bit of the input over the output.
@inline(__always) func mixed(_ value: UInt64) -> UInt64 {
    var z = value &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
}
