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

    func measure(reader: JSONReader, tokensPerBlock: Int32) -> [PromptMeasure] {
        guard !pieces.isEmpty else { return [] }
        var measures: [PromptMeasure] = []
        var scanner = PromptScanner(tokensPerBlock: tokensPerBlock)
        if let tools { scanner.scan(UnsafeRawBufferPointer(rebasing: reader.bytes[tools])) }
        for (index, piece) in pieces.enumerated() {
            switch piece {
            case .promptStart:
                if index > 0 { measures.append(scanner.measure()) }
                scanner = PromptScanner(tokensPerBlock: tokensPerBlock)
            case .messageHeader(let role): scanner.scanTemplate(tokens: Self.messageHeaderTokens, tag: role)
            case .replyHeader: scanner.scanTemplate(tokens: Self.replyHeaderTokens, tag: 1)
            case .text(let string): reader.forEachRun(of: string) { scanner.scan($0) }
            case .token(let number): scanner.scan(tokenID: number)
            case .raw(let range): scanner.scan(UnsafeRawBufferPointer(rebasing: reader.bytes[range]))
            }
        }
        measures.append(scanner.measure())
        return measures
    }
}
