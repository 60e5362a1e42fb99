//===----------------------------------------------------------------------===//
// Where in a body the prompt's text lies.
//===----------------------------------------------------------------------===//

/// The pieces of one body's prompts in their order, as references into its bytes. Text is measured only once the whole
/// body has proved valid.
struct PromptSource {
    enum Piece: Equatable {
        /// A new prompt begins (completions).
        case promptStart
        /// A chat message begins; the template writes its role.
        case messageHeader(role: UInt64)
        /// The template's opening of the reply.
        case replyHeader
        case text(JSONString)
        case token(Int64)
        /// JSON that becomes part of the prompt as it stands.
        case raw(Range<Int>)
    }

    /// Tokens that a chat template adds for each message (delimiters and role) and to open the reply: what the
    /// published templates of Llama 3 and ChatML add.
    static let messageHeaderTokens: Int32 = 4
    static let replyHeaderTokens: Int32 = 3

    var pieces: [Piece] = []
    var promptCount = 0
    /// Definitions of tools, which templates put before the first message.
    var tools: Range<Int>?

    func measure(reader: JSONReader, counting: TokenCounting) -> [PromptMeasure] {
        guard !pieces.isEmpty else { return [] }
        var measures: [PromptMeasure] = []
        var scanner = PromptScanner(tokensPerBlock: counting.tokensPerBlock)
        if pieces.first != .promptStart { counting.open(&scanner) }
        if let tools { counting.scan(UnsafeRawBufferPointer(rebasing: reader.bytes[tools]), &scanner) }
        for (index, piece) in pieces.enumerated() {
            switch piece {
            case .promptStart:
                if index > 0 { measures.append(scanner.measure()) }
                scanner = PromptScanner(tokensPerBlock: counting.tokensPerBlock)
                if index + 1 < pieces.count, case .text = pieces[index + 1] { counting.open(&scanner) }
            case .messageHeader(let role): scanner.scanTemplate(tokens: Self.messageHeaderTokens, tag: role)
            case .replyHeader: scanner.scanTemplate(tokens: Self.replyHeaderTokens, tag: 1)
            case .text(let string): counting.scan(string, reader, &scanner)
            case .token(let number): scanner.scan(tokenID: number)
            case .raw(let range): counting.scan(UnsafeRawBufferPointer(rebasing: reader.bytes[range]), &scanner)
            }
        }
        measures.append(scanner.measure())
        return measures
    }
}

/// How the tokens of prompts are counted.
struct TokenCounting: Sendable {
    /// Tokens of a KV block for which hashes are wanted, 0 for none.
    var tokensPerBlock: Int32 = 0
    /// The model's tokenizer; without one tokens are estimated.
    var tokenizer: Tokenizer?

    /// The special tokens that open a prompt of text.
    fileprivate func open(_ scanner: inout PromptScanner) {
        for token in tokenizer?.opening ?? [] { scanner.scan(tokenID: Int64(token)) }
    }

    fileprivate func scan(_ string: JSONString, _ reader: JSONReader, _ scanner: inout PromptScanner) {
        guard let tokenizer else {
            reader.forEachRun(of: string) { scanner.scan($0) }
            return
        }
        for token in tokenizer.encode(reader.text(of: string)) { scanner.scan(tokenID: Int64(token)) }
    }

    fileprivate func scan(_ text: UnsafeRawBufferPointer, _ scanner: inout PromptScanner) {
        guard let tokenizer else {
            scanner.scan(text)
            return
        }
        for token in tokenizer.encode(String(decoding: text, as: UTF8.self)) { scanner.scan(tokenID: Int64(token)) }
    }
}
