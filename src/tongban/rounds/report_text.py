"""Every sentence of the report, in Chinese and English. Braces are filled with figures."""

from typing import Final

from tongban.rounds.figures import Words

TITLE: Final = Words("{matter} {round} 核验与摇号报告", "{matter}, round {round}: verification and draw")
SUBTITLE: Final = Words("核验与摇号报告", "{matter}, round {round}: verification and draw")
DEMONSTRATION: Final = Words("演示", "demonstration")
INVENTED: Final = Words("演示数据，人物均为虚构。", "Demonstration data; all persons are invented.")
ANONYMOUS: Final = Words(
    "本页不含任何个人信息，可离线阅读和打印。",
    "This page holds nothing about any one person; it reads off-line and prints.",
)
PROVISIONAL: Final = "（暂定）"

# --- Dates and facts ----------------------------------------------------------------------------

AT: Final = Words("判定日", "evaluation date")
RECEIVED: Final = Words("名单送达各部门", "list handed to departments")
ANSWER_DUE: Final = Words("规定答复期限", "answers due by rule")
RECHECK_DUE: Final = Words("规定复核期限", "re-checks due by rule")

APPLICATIONS: Final = Words("份申请", "applications")
IN_THE_DRAW: Final = Words("份符合全部条件", "meet every rule")
DRAWN: Final = Words("个指标摇出", "quotas drawn")
TOOK: Final = Words(
    "各部门同时比对用时；规定 {days} 个工作日", "all departments at once; the rule allows {days} working days"
)

CONTENTS: Final = Words("目录", "contents")

# --- Funnel -------------------------------------------------------------------------------------

FUNNEL: Final = Words("从申请到摇中", "From application to winner")
APPLIED: Final = Words("受理申请", "applications")
IDENTITY_MET: Final = Words("身份核对一致", "identity met")
ALL_MET: Final = Words("全部条件符合", "all rules met")
POOLED: Final = Words("进入摇号池", "in the pool")
WON: Final = Words("摇中", "winners")
SHARE: Final = Words("{what} {count}，占申请的 {share}", "{what} {count}, {share} of the applications")
ELIGIBLE: Final = Words("符合条件", "eligible")
NOT_ELIGIBLE: Final = Words("不符合条件（可复核）", "found not eligible, open to re-check")
NEEDS_PERSON: Final = Words("需人工核实", "a person must look")
KINDS: Final = Words("按申请类别", "By kind of applicant")
KIND: Final = Words("类别", "Kind")
NO_SINGLE_RULE: Final = Words("不由某一条规则得出的综合结论", "findings that no single rule gave")

# --- Verdicts -----------------------------------------------------------------------------------

VERDICTS: Final = Words("各部门核验结果与原因", "Verdicts and reasons by department")
VERDICT: Final = {
    "met": Words("符合", "met"),
    "not_met": Words("不符合", "not met"),
    "unknown": Words("待人工核实", "a person will check"),
    "not_asked": Words("未询问", "not asked"),
}
REASONS: Final = Words("不符合与待核实的原因", "reasons for not met and for a person's check")
REASON: Final = Words("原因", "reason")
COUNT: Final = Words("份数", "applications")
SMALL: Final = Words(
    "为保护个人，小于 {n} 的数写作“<{n}”；能由总数推算出它的相邻数写作“*”。"
    "“未询问”：身份未能核对一致，或者同一证件另有申请，没有再问。",
    "To protect persons, counts below {n} are shown as “<{n}”, and a neighbouring count that would give one away as "
    "“*”. “Not asked”: identity was not confirmed, or there is another application for the same document.",
)

# --- Times --------------------------------------------------------------------------------------

TIMES: Final = Words("各部门用时", "Time by department")
LIMIT: Final = Words(
    "规定期限是 {days} 个工作日，到 {due} 止；各部门同时比对，全部答复共用 {seconds} 秒。",
    "The rule allows {days} working days, until {due}; asked at the same time, all departments had answered after "
    "{seconds} s.",
)
DEPARTMENT: Final = Words("部门", "department")
KEYS: Final = Words("比对人次", "keys asked")
SECONDS: Final = Words("用时（秒）", "seconds")
SNAPSHOTS: Final = Words("{rules} 条规则，登记数据日期 {days}", "rules: {rules}; data of {days}")
SILENT: Final = Words("有未答复", "unanswered parts")
TOOK_SECONDS: Final = Words("{department} 用时 {seconds} 秒", "{department}: {seconds} seconds")

# --- Draw ---------------------------------------------------------------------------------------

DRAW: Final = Words("摇号：{pool}", "The draw: {pool}")
POOL: Final = Words(
    "共 {codes} 个摇号编码、{balls} 个基数序号，配置指标 {quota} 个。",
    "{codes} draw codes with {balls} balls, for a quota of {quota}.",
)
POOL_ROOT: Final = Words("摇号池的根（种子产生之前已公布）", "root of the pool, published before the seed")
FREEZE_DIGEST: Final = Words("封池声明的摘要", "digest of the freeze statement")
LOGGED: Final = Words("封池声明在日志中的位置", "its place in the transparency log")
SEED: Final = Words("种子", "seed")
DRAW_DIGEST: Final = Words("draw.json 的摘要", "digest of draw.json")
LADDER: Final = Words("阶梯中签：未中签次数越多，基数序号越多", "the more draws without success, the more balls")
BALLS: Final = Words("每码基数序号", "balls a code")
CODES: Final = Words("编码", "codes")
WITH_BALLS: Final = Words("{balls} 个基数序号：{codes} 个编码", "{balls} balls: {codes} codes")
TOGETHER: Final = Words("种子由各方共同产生，缺一不摇", "the seed comes from all parties together")
PARTY: Final = Words("种子方", "seed party")
HOW_REVEALED: Final = Words("如何公开", "how revealed")
OPENED: Final = {
    "party": Words("本方公开", "revealed by itself"),
    "notary": Words("由公证处开启封存件", "sealed copy opened by its notary"),
}
AGAIN: Final = Words("任何人都可以重摇一遍", "Anybody can draw again")
HOW: Final = Words(
    "下载公布的文件夹，在任意一台装有 Python 的电脑上运行这个六十行的程序，再把它显示的两个摘要与日志核对。",
    "Download the published folder, run the sixty-line program on any computer with Python, and compare the two "
    "digests that it prints with the log.",
)

# --- Rights -------------------------------------------------------------------------------------

RIGHTS: Final = Words("对结果有异议", "If you disagree")
FINDING: Final = Words(
    "核验得出的“不符合”只是核验结论，还不是拒绝；没有人仅凭规则被拒绝。通知会写明条款、部门和登记数据日期。",
    "“Not met” is a finding, not a refusal; nobody is refused by a rule alone. The notice names the article, the "
    "department and the snapshot date.",
)
STEPS: Final = (
    Words(
        "凭申请编码和本人证件号码一起查询原因；只有其中一个，什么也查不到。",
        "Look up the reasons with application code and document number together; one alone shows nothing.",
    ),
    Words(
        "对任何一条原因都可以申请复核并写明理由：网上、窗口或 12345 热线均可。",
        "Ask for a re-check of any reason, saying why: on-line, at a counter, or by telephone 12345.",
    ),
    Words(
        "由登记数据所在部门的一名具名工作人员核对，{days} 个工作日内答复；前后两次答复并列保存。",
        "A named official at the source answers within {days} working days; both answers are kept side by side.",
    ),
    Words(
        "封池之前改变结论的，当期生效；封池之后改变的，按公布的办法补救，不再重摇。",
        "A change before the freeze counts in this round; after it there is a published remedy, never a second draw.",
    ),
)
RECHECKS: Final = Words(
    "本期已申请复核 {count} 件，其中改变结论 {changed} 件。",
    "{count} re-checks so far, {changed} of which changed the answer.",
)
